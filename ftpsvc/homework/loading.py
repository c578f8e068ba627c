"""From a folder to an `Assignment`, or to everything that is wrong with it.

The models of `ftpsvc.homework.model` say what each table may have; what several of them, or the files beside, say
together is checked here on the same raw values, so that one fault never hides another.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ftpsvc.homework import model, tomltext
from ftpsvc.homework.faults import AssignmentFaults, Fault
from ftpsvc.homework.model import FILE, TESTS, Assignment

_KINDS: Final[dict[str, type[BaseModel]]] = {
    "run": model.RunTest, "pytest": model.PytestTest, "manual": model.ManualTest,
    "ftp-homework": model.FtpHomeworkTest,
}  # fmt: skip
_ALL_KINDS: Final = "run, pytest, manual or ftp-homework"
_OWN: Final = frozenset({"folder", "sha256", "schema_version", "tests"})
"""Fields that no file has under this name."""

_MOMENT: Final = "must be a date and time with its offset from UTC, as 2026-11-24T23:59:00+01:00, unquoted"
_REASONS: Final = {
    "missing": "is missing",
    "string_type": "must be text in quotation marks",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "datetime_type": _MOMENT,
    "tuple_type": "must be a list in square brackets",
    "model_type": "must be a table of its own",
    "dict_type": "must be a table of its own",
    "union_tag_not_found": f"has no kind: {_ALL_KINDS}",
}


def load_assignment(folder: Path) -> Assignment:
    """See `model.load`."""
    read = tomltext.read(folder / FILE)
    if isinstance(read, Fault):
        raise AssignmentFaults(f"the assignment in {folder}", [read])
    return loaded(read, folder)


def loaded(read: tomltext.Document, folder: Path) -> Assignment:
    """Returns the assignment that a document says, whose files are in a folder.

    Raises:
        AssignmentFaults: Something is wrong; it has everything that is.
    """
    values = dict(read.values)
    faults = [*_times(read, values), *_tests(read, values, folder), *_files(read, values)]
    values.setdefault("close", values.get("due"))
    values |= {"folder": folder, "sha256": hashlib.sha256(read.data).hexdigest()}
    for name in ("folder", "sha256"):
        if name in read.values:
            faults.append(read.fault((name,), f"there is no key {name!r}"))
    try:
        assignment = Assignment.model_validate(values)
    except ValidationError as error:
        faults += explained(read, error, Assignment)
        assignment = None
    if faults or assignment is None:
        raise AssignmentFaults(_called(values, folder), faults)
    return assignment


def _called(values: Mapping[str, Any], folder: Path) -> str:
    name = values.get("id")
    return f"assignment {name}" if isinstance(name, str) and name else f"the assignment in {folder}"


# ---------------------------------------------------------------- what the models found


def explained(document: tomltext.Document, error: ValidationError, top: type[BaseModel]) -> Iterator[Fault]:
    """Yields what pydantic found, in words for whoever wrote the file."""
    for one in error.errors(include_url=False):
        if one["loc"] == ("close",) and "close" not in document.values:
            continue  # it falls back on `due`, of which the same is told
        yield _explained(document, one, top)


def _explained(document: tomltext.Document, one: ErrorDetails, top: type[BaseModel]) -> Fault:
    path = _untagged(one["loc"])
    kind, context = one["type"], one.get("ctx", {})
    hint = ""
    if kind == "extra_forbidden":
        reason = f"there is no key {str(path[-1])!r} here"
        near = difflib.get_close_matches(str(path[-1]), _keys(document, path[:-1], top), 1)
        hint = f"did you mean {near[0]}?" if near else ""
        return document.fault(path, _prefixed(document, path[:-1], reason), hint)
    if path == ("test",) and kind in ("missing", "too_short"):
        return document.fault(path, "there is no [[test]]")
    elif kind == "value_error":
        reason = str(context["error"])
    elif kind == "literal_error":
        reason = "must be " + str(context["expected"]).replace("'", "")
    elif kind == "union_tag_invalid":
        path, reason = (*path, "kind"), f"must be {_ALL_KINDS}"
    elif kind == "string_pattern_mismatch":
        reason = _PATTERNS.get(str(path[-1]), "has characters that it cannot have")
    elif kind in ("too_short", "string_too_short"):
        reason = "is empty"
    else:
        reason = _REASONS.get(kind) or one["msg"].replace("Input should", "must")
        reason = reason[:1].lower() + reason[1:]
    return document.fault(path, _prefixed(document, path, reason), hint)


_PATTERNS: Final = {
    "id": "must be 1 to 40 of a-z, 0-9, dot, dash and underscore, a letter or digit first",
    "python": "must be an absolute path",
}


def _untagged(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Returns a place without the kind that pydantic puts after the number of a test."""
    if len(location) > 2 and location[0] == "test" and location[2] in _KINDS:
        return (*location[:2], *location[3:])
    return location


def _prefixed(document: tomltext.Document, path: tuple[str | int, ...], reason: str) -> str:
    """Returns a reason with what it is about before it, as the file calls it."""
    words: list[str] = []
    if path[:1] == ("test",) and len(path) > 1:
        words.append(_test_name(document.values, path[1]))
        path = path[2:]
    elif len(path) > 1 and isinstance(path[1], int):  # an element of an array of tables has its line
        path = path[2:]
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    if name:
        words.append(name)
    return ": ".join([*words, reason])


def _test_name(values: Mapping[str, Any], number: str | int) -> str:
    tests = values.get("test")
    test = tests[number] if isinstance(tests, list) and isinstance(number, int) else None
    name = test.get("name") if isinstance(test, dict) else None
    return f"test {name!r}" if isinstance(name, str) else f"test {int(number) + 1}"


def _keys(document: tomltext.Document, path: tuple[str | int, ...], top: type[BaseModel]) -> list[str]:
    """Returns the keys that there may be at a place."""
    found: type[BaseModel] | None = top
    value: Any = document.values
    for part in path:
        value = _within(value, part)
        if isinstance(part, int):
            kind = value.get("kind") if isinstance(value, dict) else None
            found = _KINDS.get(str(kind)) if path[0] == "test" else found
        elif found is not None and part != "test":
            field = found.model_fields.get(part)
            annotation = field.annotation if field is not None else None
            candidates = [annotation, *getattr(annotation, "__args__", ())]
            found = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
    if found is None:
        return []
    return [
        field.alias or name for name, field in found.model_fields.items() if (field.alias or name) not in _OWN
    ]


def _within(value: Any, part: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    return value[part] if isinstance(value, list) and isinstance(part, int) else None


# ---------------------------------------------------------------- what several keys say together


def _times(document: tomltext.Document, values: Mapping[str, Any]) -> Iterator[Fault]:
    opens, due, close = (_moment(values.get(name)) for name in ("open", "due", "close"))
    if opens is not None and due is not None and due <= opens:
        yield document.fault(("due",), "due: must be later than open")
    if due is not None and close is not None and close < due:
        yield document.fault(("close",), "close: must not be earlier than due")


def _moment(value: object) -> datetime | None:
    return value if isinstance(value, datetime) and value.tzinfo is not None else None


def _files(document: tomltext.Document, values: Mapping[str, Any]) -> Iterator[Fault]:
    files = values.get("files", {})
    if not isinstance(files, dict):
        return
    if not files.get("required") and not files.get("optional") and files.get("extra") != "keep":
        yield document.fault(
            ("files",),
            "files: nothing could be handed in",
            'name what is expected: required = ["main.py"], or let everything in: extra = "keep"',
        )


def _tests(document: tomltext.Document, values: Mapping[str, Any], folder: Path) -> Iterator[Fault]:
    tests = values.get("test", [])
    if not isinstance(tests, list) or not all(isinstance(test, dict) for test in tests):
        return
    seen: dict[str, int] = {}
    names = [test.get("name") for test in tests]
    for number, test in enumerate(tests):
        name = test.get("name")
        if isinstance(name, str):
            if name in seen:
                line = document.line(("test", seen[name], "name"))
                yield document.fault(
                    ("test", number, "name"), f"test {name!r}: line {line} has this name already"
                )
            seen.setdefault(name, number)
        yield from _needs(document, number, test, names)
        yield from _material(document, number, test, folder)
    if tests and not sum(_number(test.get("points")) for test in tests):
        yield document.fault(("test",), "no test is worth any points")
    similarity = values.get("similarity")
    base = similarity.get("base") if isinstance(similarity, dict) else None
    for number, name in enumerate(base if isinstance(base, list) else ()):
        if isinstance(name, str) and not (folder / name).exists():
            yield document.fault(
                ("similarity", "base", number), f"similarity.base: there is no {name} beside it"
            )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _needs(
    document: tomltext.Document, number: int, test: Mapping[str, Any], names: list[Any]
) -> Iterator[Fault]:
    needs = test.get("needs", [])
    for place, needed in enumerate(needs if isinstance(needs, list) else ()):
        if not isinstance(needed, str) or needed in names[:number]:
            continue
        where = ("test", number, "needs", place)
        what = _test_name(document.values, number)
        if needed in names[number:]:
            yield document.fault(where, f"{what}: needs {needed!r}, which must stand above it")
        else:
            near = difflib.get_close_matches(needed, [name for name in names if isinstance(name, str)], 1)
            yield document.fault(
                where,
                f"{what}: needs {needed!r}, which is no test",
                f"did you mean {near[0]!r}?" if near else "",
            )


def _material(
    document: tomltext.Document, number: int, test: Mapping[str, Any], folder: Path
) -> Iterator[Fault]:
    """Yields what is wrong with the files that a test names."""
    top: tuple[str | int, ...] = ("test", number)
    what = _test_name(document.values, number)
    expect = test.get("expect")
    expected = expect.get("stdout_file") if isinstance(expect, dict) else None
    named: list[tuple[tuple[str | int, ...], object]] = [
        ((*top, "stdin_file"), test.get("stdin_file")),
        ((*top, "expect", "stdout_file"), expected),
    ]
    listed = test.get("files")
    named += [((*top, "files", at), one) for at, one in enumerate(listed if isinstance(listed, list) else ())]
    for where, name in named:
        if isinstance(name, str) and name and not (folder / TESTS / name).is_file():
            yield document.fault(where, f"{what}: there is no file {TESTS}/{name} beside it")
    dialect = test.get("dialect")
    if test.get("kind") == "ftp-homework" and isinstance(dialect, str):
        from ftpsvc.homework.kit.dialects import DIALECTS  # late: the daemon speaks none of them

        if dialect not in DIALECTS and not (folder / TESTS / dialect).is_file():
            fault = f"{what}: there is no dialect {dialect!r}, and no such file in {TESTS}/"
            yield document.fault((*top, "dialect"), fault, f"the dialects are {', '.join(DIALECTS)}")
    path = test.get("path")
    if isinstance(path, str) and path:
        if path.split("/")[0] != TESTS:
            yield document.fault((*top, "path"), f"{what}: path must begin with {TESTS}/")
        elif not (folder / path).exists():
            yield document.fault((*top, "path"), f"{what}: there is no {path} beside it")
    if test.get("compare") == "regex" and isinstance(expect, dict):
        yield from _expression(document, top, what, expect, folder)


def _expression(
    document: tomltext.Document,
    top: tuple[str | int, ...],
    what: str,
    expect: Mapping[str, Any],
    folder: Path,
) -> Iterator[Fault]:
    text, key = expect.get("stdout"), "stdout"
    if text is None and isinstance(expect.get("stdout_file"), str):
        key = "stdout_file"
        try:
            text = (folder / TESTS / expect[key]).read_text("utf-8")
        except (OSError, ValueError):
            return  # that it is not there is told already
    if isinstance(text, str):
        try:
            re.compile(text)
        except re.error as error:
            yield document.fault(
                (*top, "expect", key), f"{what}: expect.{key} is no regular expression: {error}"
            )
