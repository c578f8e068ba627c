"""docs/protocol.md says what the code does: its tables against the models, its numbers, its citations, its program."""

from __future__ import annotations

import json
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from ftpsvc import addresses, blocks, digests, paths
from ftpsvc.exceptions import BY_CODE, FtpsvcError
from ftpsvc.homework.extension import Homework
from ftpsvc.protocol import headers, limits
from ftpsvc.protocol.headers import REQUESTS, Header
from ftpsvc.protocol.schema import document
from ftpsvc.protocol.state import TRANSITIONS, State
from ftpsvc.server.service import ACCOUNT_FEATURES, FEATURES
from tests.helpers.wire import message

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
SCHEMAS: dict[str, Any] = document()["$defs"]
HEADINGS = dict(re.findall(r"^#{2,3} (\d+(?:\.\d+)?) (.*)$", PAGE, re.MULTILINE))
LARGEST = limits.MAX_SIZE

Rows = list[list[str]]


def table_after(text: str) -> Rows:
    """The cells of the first table behind `text`, without its head."""
    lines = PAGE[PAGE.index(text) + len(text) :].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip()[1:-1].split("|")])
    return rows[2:]


def section(number: str) -> str:
    """The text of a section, up to the next heading."""
    start = re.search(rf"^#{{2,3}} {re.escape(number)} .*$", PAGE, re.MULTILINE)
    assert start, number
    end = re.search(r"^#{2,3} \d", PAGE[start.end() :], re.MULTILINE)
    return PAGE[start.end() : start.end() + end.start()] if end else PAGE[start.end() :]


# ---------------------------------------------------------------- fields

PLAIN: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "path": {"type": "string"},
    "boolean": {"type": "boolean"},
    "size": {"type": "integer", "minimum": 0, "maximum": LARGEST},
    "count": {"type": "integer", "minimum": 0, "maximum": LARGEST},
    "time": {"type": "integer", "minimum": 0, "maximum": LARGEST},
    "mode": {"type": "integer", "minimum": 0, "maximum": 0o7777},
    "algorithm": {"type": "string", "minLength": 1, "maxLength": 32},
    "digest": {"type": "string", "minLength": 32, "maxLength": 128, "pattern": "^[0-9a-f]+$"},
}


def schema_of(cell: str) -> dict[str, Any]:
    """The JSON Schema that a cell of the type column means."""
    if cell in PLAIN:
        return PLAIN[cell]
    if match := re.fullmatch(r"string, at most (\d+)", cell):
        return {"type": "string", "maxLength": int(match[1])}
    if match := re.fullmatch(r"string, (\d+) to (\d+)", cell):
        return {"type": "string", "minLength": int(match[1]), "maxLength": int(match[2])}
    if match := re.fullmatch(r"string of (\d+) hex digits", cell):
        return {
            "type": "string",
            "minLength": int(match[1]),
            "maxLength": int(match[1]),
            "pattern": "^[0-9a-f]+$",
        }
    if match := re.fullmatch(r"integer from (-?\d+)(?: to (\d+))?", cell):
        return {"type": "integer", "minimum": int(match[1])} | (
            {"maximum": int(match[2])} if match[2] else {}
        )
    if match := re.fullmatch(r"array of (\w+)(?:, (\d+) to (\d+))?", cell):
        bounds = {"minItems": int(match[2]), "maxItems": int(match[3])} if match[2] else {}
        return {"type": "array", "items": schema_of(match[1])} | bounds
    if cell.startswith("one of "):
        return {"type": "string", "enum": re.findall(r"`(\w+)`", cell)}
    raise AssertionError(f"a type that section 2.4 does not have: {cell}")


MODELS = {
    name: value
    for name in headers.__all__
    if isinstance(value := getattr(headers, name), type)
    and issubclass(value, Header)
    and value not in (Header, headers.Request)
}


def test_every_header_has_its_table() -> None:
    assert sorted(re.findall(r"<!-- fields: (\w+) -->", PAGE)) == sorted(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_the_table_of_a_header_is_its_model(name: str) -> None:
    rows = table_after(f"<!-- fields: {name} -->\n")
    schema = SCHEMAS[name]
    assert sorted(row[0].strip("`") for row in rows) == sorted(schema["properties"])
    for field, kind, default, meaning in rows:
        key = field.strip("`")
        found = dict(schema["properties"][key])
        standing = found.pop("default", None)
        assert (default == "required") is (key in schema["required"]), key
        if "const" in found:
            assert kind == "string"
            assert f'"{found["const"]}"' in meaning
            continue
        if kind == "object":
            assert "$ref" in found
            assert default in ("required", "none", "`{}`")
            continue
        assert schema_of(kind) == found, key
        if default not in ("required", "none"):
            assert json.loads(default.strip("`")) == standing, key
        elif default == "none":
            assert standing is None, key


# ---------------------------------------------------------------- operations, features, errors


def test_every_operation_has_its_section() -> None:
    documented = {
        title.strip("`"): number
        for number, title in HEADINGS.items()
        if number.startswith("6.") and "`" in title
    }
    assert documented.keys() == REQUESTS.keys()
    for op, request in REQUESTS.items():
        text = section(documented[op])
        assert f"<!-- fields: {request.__name__} -->" in text
        if op not in ("pwd", "mv", "set-password", "patch"):  # answered as cd, as quit, as put
            assert f"<!-- fields: {request.answer.__name__} -->" in text
        assert ("followed by content" in text) is (request.content or request.content_answer)
        assert ("followed by lines" in text) is request.lines_answer
        digests_follow = request.payload_answer and not request.content_answer and not request.lines_answer
        assert ("followed by digests" in text) is digests_follow


def test_the_table_of_operations_says_which_are_base() -> None:
    rows = table_after("## 6 Operations\n")
    assert [re.findall(r"[\w-]+", row[0])[0] for row in rows] == list(REQUESTS)
    for link, _, base, feature in rows:
        op = re.findall(r"[\w-]+", link)[0]
        assert (base == "yes") is REQUESTS[op].base
        assert feature.strip("`") == ("" if REQUESTS[op].base else op)


def test_the_features_are_those_that_the_server_announces() -> None:
    options = [row[0].strip("`") for row in table_after("and of these options:\n")]
    operations = [op for op, request in REQUESTS.items() if not request.base]
    assert sorted(options + operations) == sorted([*FEATURES, *ACCOUNT_FEATURES, *Homework.features])


def test_the_table_of_errors_is_the_table_of_the_code() -> None:
    rows = {row[0].strip("`"): row for row in table_after("a real path of the server's disk is never sent.")}
    assert rows.pop(FtpsvcError.code)[1:3] == ["", "no"]
    assert rows.keys() == BY_CODE.keys()
    for code, (_, fields, retry, _) in rows.items():
        assert tuple(re.findall(r"`(\w+)`", fields)) == BY_CODE[code].wire_fields, code
        assert retry == ("yes" if BY_CODE[code].retry else "no"), code


def test_every_code_that_the_page_names_exists() -> None:
    named = set(re.findall(r"^Errors?: .*$", PAGE, re.MULTILINE))
    codes = {code for line in named for code in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", line)}
    codes |= {row[0].strip("`") for row in table_after("a client must be ready for any):\n")}
    assert codes <= BY_CODE.keys()


def test_the_algorithms_are_those_of_the_code() -> None:
    rows = table_after("### 5.2 Algorithms\n")
    assert {row[0].strip("`"): int(row[1].split()[0]) for row in rows} == digests.LENGTHS
    assert [row[0].strip("`") for row in rows] == list(digests.ALGORITHMS)


def test_the_states_are_those_of_the_code() -> None:
    names = {each.value for each in State}
    after: dict[str, set[str]] = {}
    state = ""
    for first, _, last in table_after("### 3.1 States\n"):
        state = first.strip("`") or state
        after.setdefault(state, set()).update(set(re.findall(r"`(\w+)`", last)) & names)
    assert after.keys() == names
    for each in State:
        follow = {later.value for (earlier, _), later in TRANSITIONS.items() if earlier is each}
        # The page also draws the two steps of an empty payload as one.
        assert follow <= after[each.value] <= follow | {"idle", "trailer"}, each


def test_the_numbers_are_those_of_the_code() -> None:
    cells = {row[0]: row[1] for row in table_after("### 2.5 Limits\n")}
    assert cells["header, towards a client"] == f"{limits.MIN_HEADER} to {limits.MAX_HEADER} bytes"
    assert f"; {limits.MAX_HEADER_BEFORE_LOGIN} where" in cells["header, towards a server"]
    assert cells["nesting of a header"] == str(limits.MAX_NESTING)
    assert cells["path"] == f"{paths.MAX_PATH_BYTES} bytes of UTF-8, {paths.MAX_DEPTH} components"
    assert cells["component of a path"] == f"{paths.MAX_NAME_BYTES} bytes of UTF-8"
    assert f"; {limits.DEFAULT_WINDOW} where" in cells["unanswered requests"]
    assert f"uses {limits.MAX_WINDOW} at most" in cells["unanswered requests"]
    assert f"{limits.MAX_PAGE} at most" in cells["entries of a page of `ls`"]
    assert cells["payload of `ls`"].startswith(f"{limits.MAX_PAGE_BYTES >> 20} MiB")
    assert f"The default port is {addresses.DEFAULT_PORT}." in section("8")
    assert cells["block of a file"] == f"{blocks.MIN_BLOCK} to {blocks.MAX_BLOCK} bytes"
    assert cells["blocks of one answer"] == str(blocks.MAX_ASKED)
    assert cells["blocks of a file that is patched"] == str(blocks.MAX_BLOCKS)
    assert f"first {blocks.DIGEST_BYTES} bytes" in section("5.7")
    assert LARGEST == 2**63 - 1
    assert f"version {limits.PROTOCOL_VERSION}\n" in PAGE.splitlines(keepends=True)[0]
    urls = {row[0].split("://")[0].strip("`") for row in table_after("Addresses are URLs:\n")}
    assert urls == {addresses.TCP, addresses.UNIX, addresses.TLS}


def test_reserved_operations_are_not_taken() -> None:
    reserved = {
        op for row in table_after("## 12 Reserved operations\n") for op in re.findall(r"`([\w-]+)`", row[0])
    }
    assert reserved
    assert reserved.isdisjoint(REQUESTS)


# ---------------------------------------------------------------- citations and links


_CITATION = re.compile(r"protocol\.md\)?`?,? sections? ((?:\d[\d.]*(?: \([^)]*\))?(?:, | and | to )?)+)")


def test_what_is_cited_exists() -> None:
    cited = set()
    files = [
        *(
            path
            for folder in ("ftpsvc", "client", "tests", "docs", "benchmarks")
            for path in (ROOT / folder).rglob("*")
        ),
        *ROOT.glob("*.md"),
    ]
    for path in files:
        if path.suffix not in (".py", ".md") or not path.is_file():
            continue
        text = re.sub(r"\s*\n\s*(?:#: |# |\* )?", " ", path.read_text(encoding="utf-8"))
        for places in re.findall(
            r"protocol\.md\)?`?,? sections? ((?:\d[\d.]*(?: \([^)]*\))?(?:, | and | to )?)+)", text
        ):
            for number in re.findall(r"\d+(?:\.\d+)?", re.sub(r"\([^)]*\)", "", places)):
                cited.add((str(path.relative_to(ROOT)), number))
    assert len(cited) > 20, "the pattern finds nothing any more"
    assert not [where for where in sorted(cited) if where[1] not in HEADINGS]


def test_sections_that_the_page_refers_to_exist() -> None:
    for number in re.findall(r"[Ss]ections? (\d+(?:\.\d+)?)", re.sub(r"RFC \d+,?\s+section", "", PAGE)):
        assert number in HEADINGS
    anchors = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    links = re.findall(r"\]\(#([\w-]+)\)", PAGE)
    assert links
    assert set(links) <= anchors


def test_sections_are_numbered_without_gaps() -> None:
    top = [int(number) for number in HEADINGS if "." not in number]
    assert top == list(range(1, len(top) + 1))
    for chapter in top:
        inner = [int(number.split(".")[1]) for number in HEADINGS if number.startswith(f"{chapter}.")]
        assert inner == list(range(1, len(inner) + 1))


# ---------------------------------------------------------------- the program of section 9.1


def test_c01_the_program_of_the_page_reads_what_it_writes() -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102 -- the page's own text, from this repository
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(60)
        names["send"](there, {"op": "put", "size": 3, "path": "世界"}, b"abc")
        assert names["receive"](here) == {"op": "put", "size": 3, "path": "世界"}
        assert names["receive_exactly"](here, 3) == b"abc"

        def dribble() -> None:
            for byte in message({"op": "ls"}):
                there.sendall(bytes([byte]))
            there.sendall(b"\x00\x00\x10\x01")

        thread = threading.Thread(target=dribble)
        thread.start()
        assert names["receive"](here) == {"op": "ls"}
        with pytest.raises(ValueError, match="that long"):
            names["receive"](here)
        thread.join()
        there.close()
        with pytest.raises(ConnectionError):
            names["receive"](here)
