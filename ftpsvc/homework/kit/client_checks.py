"""The checks of a client: what is typed into it, and what must then be in its files and in the server's.

A check is a function that gets a tester and raises a `Fault`. What a client prints decides nothing, except whether it
shows a listing, a progress bar, and that something failed.
"""

from __future__ import annotations

import hashlib
import json
import random
import secrets
from collections.abc import Callable, Sequence
from typing import Final

from ftpsvc.homework.kit import bars
from ftpsvc.homework.kit.base_profile import framed, message
from ftpsvc.homework.kit.chaos import Chaos
from ftpsvc.homework.kit.client_tester import OLD, ClientTester
from ftpsvc.homework.kit.findings import Fault, NotScored
from ftpsvc.homework.kit.gateway import Script
from ftpsvc.homework.kit.played import GREETING, answers_with, closes_at_once, greets_and_closes, says_nothing
from ftpsvc.homework.kit.rubric import Check
from ftpsvc.homework.kit.said import said

UNMEASURED: Final = {
    1: said("the base profile has no log-in"),
    2: said("many users at once are the server's"),
    3: said("what a user may reach is the server's"),
    4: said("a quota is the server's"),
    9: said("the base profile starts again after an interruption"),
}
"""The points of the rubric that no client is judged by, and why."""

SIZES: Final = (0, 1, 1023, 1024, 1025, 70_000, (1 << 20) + 3)

LARGE: Final = 8 << 20
"""Bytes of the transfers whose progress is looked at."""

MANY: Final = 800
"""Names in a long listing: more than 64 KiB, and less than the server puts into one page."""

_TEXT: Final = b"line\r\nline\n\x1a\x00\xff" * 10
_MIDDLE: Final = 20_000
_LONG: Final = 40_000
_HUGE: Final = 1 << 62
_MUCH: Final = (64 << 20).to_bytes(4, "big")  # small enough that memory for it is to be had
_MOST_LINES: Final = 20


CLIENT_CHECKS: Final[list[Check[ClientTester]]] = []
"""All of them, in the order in which they are run."""


def _check(
    point: int, name: str, hint: str, *cases: str
) -> Callable[[Callable[[ClientTester], None]], Callable[[ClientTester], None]]:
    def add(function: Callable[[ClientTester], None]) -> Callable[[ClientTester], None]:
        CLIENT_CHECKS.append(Check(name, point, cases, hint, function))
        return function

    return add


def _contents() -> dict[str, bytes]:
    source = random.Random(7)  # noqa: S311 -- content that compresses to nothing, and no secret
    return {**{f"size-{size}.bin": source.randbytes(size) for size in SIZES}, "lines.bin": _TEXT}


@_check(5, "cd and names after it", said("send names as they are typed: the server knows the directory"))
def _cd(test: ClientTester) -> None:
    test.server.mkdir("music")
    test.local("song.txt", b"la")
    test.run(
        test.say.cd("music"), test.say.put("song.txt", "song.txt"),
        test.say.cd(".."), test.say.put("song.txt", "up.txt"),
    )  # fmt: skip
    test.arrived("music/song.txt", b"la")
    test.arrived("up.txt", b"la")


@_check(5, "cd to nowhere", said("change your own idea of the directory only when the server said ok"), "C10")
def _cd_nowhere(test: ClientTester) -> None:
    test.server.mkdir("music")
    test.local("after.txt", b"after")
    put = test.say.put("after.txt", "after.txt")
    failure = test.run(test.say.cd("nowhere"), put)
    test.arrived("after.txt", b"after")
    test.complained(failure, test.run(test.say.cd("music"), put), "nowhere", "music")


@_check(6, "names in a listing", said("show every name; decode as UTF-8"))
def _ls(test: ClientTester) -> None:
    token = secrets.token_hex(3)
    names = [f"plain-{token}.txt", f"with space {token}.txt", f"中文-{token}.txt", f"folder-{token}"]
    for name in names[:-1]:
        test.server.write(name, b"x")
    test.server.mkdir(names[-1])
    _shown(test.run(test.say.ls()), names)
    _shown(test.run(test.say.cd(names[-1]), test.say.ls(".."), terminal=True), names)


@_check(6, "an empty directory", said("a listing of nothing is an answer too, of 0 bytes"), "C08")
def _ls_empty(test: ClientTester) -> None:
    test.server.mkdir("empty")
    test.server.write("there.txt", b"x")
    _shown(test.run(test.say.ls("empty"), test.say.ls()), ["there.txt", "empty"])


@_check(6, "a long listing", said("read in a loop until the size of the answer is there"), "C01")
def _ls_long(test: ClientTester) -> None:
    names = [f"{number:04}-{'long-name-' * 8}.txt" for number in range(MANY)]
    for name in names:
        test.server.write(name, b"")
    _shown(test.run(test.say.ls()), names)


def _shown(output: str, names: Sequence[str]) -> None:
    # A terminal breaks no line of what is written to it, so each name stands in one piece.
    missing = [name for name in names if name not in output and name.replace(" ", "\\ ") not in output]
    if missing:
        raise Fault(
            said("all names in what it shows"),
            said("missing: {names}", names=", ".join(missing[:5])[:200]),
        )


@_check(
    7,
    "puts of every size",
    said("open with 'rb'; send all of it, and exactly the size that was announced"),
    "C08",
)
def _puts(test: ClientTester) -> None:
    contents = _contents()
    for name, content in contents.items():
        test.local(name, content)
    test.run(*(test.say.put(name, f"put-{name}") for name in contents))
    for name, content in contents.items():
        test.arrived(f"put-{name}", content)


@_check(
    7,
    "gets of every size",
    said("open with 'wb'; read in a loop until the size of the answer is there"),
    "C08",
)
def _gets(test: ClientTester) -> None:
    contents = _contents()
    for name, content in contents.items():
        test.server.write(name, content)
    test.run(*(test.say.get(name, f"got-{name}") for name in contents))
    for name, content in contents.items():
        test.fetched(f"got-{name}", content)


@_check(
    7,
    "a shorter file over a longer one",
    said("a get replaces: open with 'wb', or rename a new file over the old one"),
    "C50",
)
def _shorter(test: ClientTester) -> None:
    test.local("file.txt", b"a long content")
    test.server.write("file.txt", b"short")
    test.run(test.say.get("file.txt", "file.txt"))
    test.fetched("file.txt", b"short")


@_check(
    7,
    "answers byte by byte",
    said("recv returns what is there, also half a length: read in a loop until all of it has come"),
    "C01",
)
def _dribbled(test: ClientTester) -> None:
    test.server.write("drops.txt", b"drop by drop")
    test.local("back.txt", b"drop after drop")
    output = test.run(
        test.say.ls(), test.say.get("drops.txt", "drops.txt"), test.say.put("back.txt", "back.txt"),
        chaos=Chaos(ways=("down",), dribble=True),
    )  # fmt: skip
    test.fetched("drops.txt", b"drop by drop")
    test.arrived("back.txt", b"drop after drop")
    _shown(output, ["drops.txt"])


@_check(
    7,
    "several messages in one piece",
    said("read exactly the length that was announced: what comes behind it is the next message"),
    "C02",
)
def _coalesced(test: ClientTester) -> None:
    for name, content in (("one.txt", b"one"), ("none.txt", b""), ("two.bin", bytes(3000))):
        test.server.write(name, content)
    output = test.run(
        test.say.get("one.txt", "one.txt"), test.say.get("none.txt", "none.txt"), test.say.ls(),
        test.say.get("two.bin", "two.bin"), chaos=Chaos(ways=("down",), coalesce=True),
    )  # fmt: skip
    for name, content in (("one.txt", b"one"), ("none.txt", b""), ("two.bin", bytes(3000))):
        test.fetched(name, content)
    _shown(output, ["one.txt", "none.txt", "two.bin"])


@_check(
    7,
    "a corrupted download",
    said("compare the digest of what came with the trailer's before the file gets its name, and say so"),
    "C45",
)
def _corrupted(test: ClientTester) -> None:
    test.server.write("song.bin", bytes(_LONG))
    get = test.say.get("song.bin", "copy.bin")
    success = test.run(get)
    test.fetched("copy.bin", bytes(_LONG))
    test.local("copy.bin", OLD)
    failure = test.run(get, chaos=Chaos(ways=("down",), corrupt=_MIDDLE))
    test.kept("copy.bin")
    test.complained(failure, success)


@_check(
    7,
    "a download that breaks off",
    said(
        "write to a temporary name, and rename it when all has come; a recv that returns nothing is the end"
    ),
    "C04",
    "C47",
)
def _cut(test: ClientTester) -> None:
    test.server.write("song.bin", bytes(_LONG))
    test.local("old.bin", OLD)
    for name in ("old.bin", "new.bin"):
        test.run(test.say.get("song.bin", name), chaos=Chaos(ways=("down",), cut=_MIDDLE))
    test.kept("old.bin")
    if test.box.read("new.bin") is not None:
        raise Fault(said("no file under a name whose content did not come"), said("half a file is there"))


@_check(
    7,
    "a download that is stopped",
    said("let KeyboardInterrupt through, and remove the temporary file on the way"),
    "C47",
    "C57",
)
def _stopped(test: ClientTester) -> None:
    test.server.write("song.bin", bytes(_LONG))
    test.local("old.bin", OLD)
    test.interrupted(test.say.get("song.bin", "old.bin"), chaos=Chaos(ways=("down",), stall=_MIDDLE))
    test.kept("old.bin")


@_check(
    7,
    "the command after a refused put",
    said("read the answer to a put also when it is an error, show it, and go on"),
    "C10",
)
def _refused_put(test: ClientTester) -> None:
    test.server.mkdir("music")
    test.local("song.bin", bytes(5000))
    test.local("after.txt", b"after")
    after = test.say.put("after.txt", "after.txt")
    failure = test.run(test.say.put("song.bin", "music"), after)
    test.arrived("after.txt", b"after")
    test.complained(failure, test.run(test.say.put("song.bin", "other"), after), "music", "other")


@_check(
    7, "a get of what is not there", said("an error is an answer: show it, make no file, and go on"), "C10"
)
def _get_nothing(test: ClientTester) -> None:
    test.server.write("there.txt", b"there")
    test.server.write("after.txt", b"after")
    test.local("kept.txt", OLD)
    after = test.say.get("after.txt", "after.txt")
    failure = test.run(test.say.get("gone.txt", "new.txt"), test.say.get("gone.txt", "kept.txt"), after)
    test.fetched("after.txt", b"after")
    test.kept("kept.txt")
    if test.box.read("new.txt") is not None:
        raise Fault(said("no file under a name whose content did not come"), said("an empty file is there"))
    success = test.run(test.say.get("there.txt", "new.txt"), test.say.get("there.txt", "kept.txt"), after)
    test.complained(failure, success, "there", "gone")


@_check(
    7,
    "a local file that is not there",
    said("open the file before anything is sent; catch OSError, say what it says, and go on"),
    "C10",
)
def _no_local_file(test: ClientTester) -> None:
    test.local("after.txt", b"after")
    after = test.say.put("after.txt", "after.txt")
    failure = test.run(test.say.put("gone.txt", "file.txt"), after)
    test.arrived("after.txt", b"after")
    test.local("there.txt", b"there")
    test.complained(failure, test.run(test.say.put("there.txt", "file.txt"), after), "there", "gone")


@_check(
    7, "an empty line", said("skip a line of nothing; say what can be typed where a word is unknown"), "C08"
)
def _empty_line(test: ClientTester) -> None:
    test.local("after.txt", b"after")
    test.run("", "   ", "no-such-command", test.say.put("after.txt", "after.txt"))
    test.arrived("after.txt", b"after")


@_check(
    7,
    "the end of its input",
    said("input() raises EOFError, and a loop over sys.stdin ends: so does the client"),
)
def _end_of_input(test: ClientTester) -> None:
    test.local("last.txt", b"last")
    test.run(test.say.put("last.txt", "last.txt"), quits=False)
    test.arrived("last.txt", b"last")


@_check(7, "a server that closes", said("a recv that returns nothing is the end: say so, and end"), "C04")
def _closes(test: ClientTester) -> None:
    for played in (closes_at_once, greets_and_closes):
        test.run(test.say.ls(), test.say.get("file.txt", "file.txt"), script=played)
    if test.box.read("file.txt") is not None:
        raise Fault(said("no file under a name whose content did not come"), said("half a file is there"))


@_check(
    7,
    "a server that says nothing",
    said("a time-out for the socket, and a KeyboardInterrupt that nobody catches to go on waiting"),
    "C57",
)
def _says_nothing(test: ClientTester) -> None:
    test.interrupted(test.say.ls(), script=says_nothing)


@_check(
    7,
    "lengths that no server means",
    said("compare a length with the most that it can be before you read or reserve that much"),
    "C06",
)
def _lengths(test: ClientTester) -> None:
    greeting = (
        (said("a greeting of 64 MiB"), _MUCH, False),
        (said("a greeting that is no object"), framed(b"[1, 2]"), True),
        (said("a greeting that is no JSON"), framed(b"220 ready"), True),
    )
    for what, data, closes in greeting:
        _survives(test, what, answers_with(b"", data, closes=closes), test.say.ls())
    answers = (
        (said("a header of 64 MiB"), _MUCH, False),
        (said("a header of 2^32-1 bytes"), b"\xff\xff\xff\xff", False),
        (said("a size that is a text"), message({"status": "ok", "size": "5"}) + b"12345", True),
        (said("a size below zero"), message({"status": "ok", "size": -1}), True),
        (said("a content of 2^62 bytes that breaks off"), message({"status": "ok", "size": _HUGE}) + bytes(9999), True),
    )  # fmt: skip
    for what, data, closes in answers:
        _survives(
            test, what, answers_with(GREETING, data, closes=closes), test.say.get("file.txt", "file.txt")
        )
        if test.box.read("file.txt") is not None:
            raise Fault(
                said("no file under a name whose content did not come"), said("half a file is there"), what
            )
    listing = message({"status": "ok", "size": _HUGE}) + b'{"type": "file"'
    _survives(
        test, said("a listing of 2^62 bytes"), answers_with(GREETING, listing, closes=False), test.say.ls()
    )


def _survives(test: ClientTester, what: str, script: Script, line: str) -> None:
    try:
        test.run(line, script=script)
    except Fault as fault:
        raise type(fault)(fault.expected, fault.seen, what) from fault


@_check(
    7,
    "names that drive the terminal",
    said("show what a server says with escapes for everything that is not printable; name files yourself"),
    "C21",
)
def _hostile_names(test: ClientTester) -> None:
    token = secrets.token_hex(4)
    name = f"\x1b]0;{token}\x07\x1b[31m{token}"
    line = json.dumps({"name": name, "type": "file", "file_size": 5}).encode() + b"\n"
    refusal = {"status": "error", "code": "not-found", "message": name, "fatal": False}
    for what, answer, typed in (
        (
            said("a name with escape sequences"),
            message({"status": "ok", "size": len(line)}) + line,
            test.say.ls(),
        ),
        (said("a message with escape sequences"), message(refusal), test.say.get("file.txt", "file.txt")),
    ):
        output = test.run(typed, script=answers_with(GREETING, answer, closes=True), terminal=True)
        if f"\x1b[31m{token}" in output or f"\x1b]0;{token}" in output:
            raise Fault(said("that nothing of it reaches the terminal as it is"), said("it does"), what)
    content = b"evil!"
    digest = hashlib.sha256(content).hexdigest()
    header = {
        "status": "ok",
        "size": 5,
        "name": "evil.txt",
        "path": "../box/evil.txt",
        "filename": "evil.txt",
    }
    played = answers_with(GREETING, message(header) + content + message({"digest": digest}), closes=True)
    test.run(test.say.get("file.txt", "file.txt"), script=played)
    if any(one.endswith("evil.txt") for one in test.box.names()):
        raise Fault(
            said("a file under the name that was typed"),
            said("it lies under the server's name for it"),
            said("a get whose answer names another file"),
        )


@_check(
    8,
    "a bar for a put",
    said("print how far it is, with \\r and without a newline, as pieces are sent"),
    "C60",
)
def _bar_of_put(test: ClientTester) -> None:
    _grew(_put_large(test, terminal=True))


@_check(
    8, "a bar for a get", said("print how far it is, with \\r and without a newline, as pieces come"), "C60"
)
def _bar_of_get(test: ClientTester) -> None:
    _grew(_get_large(test, terminal=True))


@_check(
    8,
    "no bar in a file",
    said("no bar where sys.stdout.isatty() says no: a file keeps every state of it"),
    "C60",
)
def _bar_in_file(test: ClientTester) -> None:
    transfer = _with_bar(test)
    output = transfer(test, terminal=False)
    if bars.rubbish(output):
        raise Fault(said("no bar where there is no terminal"), said("lines that are drawn anew"))
    if (count := len(output.splitlines())) > _MOST_LINES:
        raise Fault(said("no bar where there is no terminal"), said("{count} lines", count=count))


@_check(8, "an empty file with a bar", said("a percentage of 0 bytes is a division by zero"), "C08")
def _bar_of_nothing(test: ClientTester) -> None:
    _with_bar(test)
    test.local("empty.txt", b"")
    test.local("after.txt", b"after")
    test.server.write("nothing.txt", b"")
    test.run(
        test.say.put("empty.txt", "empty.txt"), test.say.get("nothing.txt", "nothing.txt"),
        test.say.put("after.txt", "after.txt"), terminal=True,
    )  # fmt: skip
    test.arrived("empty.txt", b"")
    test.fetched("nothing.txt", b"")
    test.arrived("after.txt", b"after")


def _put_large(test: ClientTester, *, terminal: bool) -> str:
    test.local("large.bin", bytes(LARGE))
    output = test.run(test.say.put("large.bin", "large.bin"), terminal=terminal, paced=True)
    test.arrived("large.bin", bytes(LARGE))
    return output


def _get_large(test: ClientTester, *, terminal: bool) -> str:
    test.server.write("large.bin", bytes(LARGE))
    output = test.run(test.say.get("large.bin", "large.bin"), terminal=terminal, paced=True)
    test.fetched("large.bin", bytes(LARGE))
    return output


def _grew(output: str) -> None:
    expected = said("a number, percentage or bar that grows on one line, up to the whole")
    found = bars.grows(output, LARGE)
    if found == "part":
        raise Fault(expected, said("it ends before the whole"))
    if not found:
        raise Fault(expected, said("none in {count} lines", count=len(output.splitlines())))


def _with_bar(test: ClientTester) -> Callable[..., str]:
    """Returns a transfer that shows a bar on a terminal.

    Raises:
        NotScored: None does, so there is nothing to see of it elsewhere.
    """
    for transfer in (_get_large, _put_large):
        if bars.grows(transfer(test, terminal=True), LARGE):
            return transfer
    raise NotScored(said("there is no bar"))
