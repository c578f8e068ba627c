"""The checks of the rubric: each is one thing that a server must do, seen from outside (docs/kit.md, "The checks").

A check is a function that gets a tester and raises a `Fault`. Each runs against a server that was just started, so no
check pays for another one's fault, and a server that crashes does it under the name of what crashed it.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from ftpsvc.homework.kit.dialect import Conversation, Dialect
from ftpsvc.homework.kit.findings import Fault, Gone, NotScored, Refused
from ftpsvc.homework.kit.rubric import Check
from ftpsvc.homework.kit.sandboxed import Prepared, SandboxedServer
from ftpsvc.homework.kit.wire import Wire

MANY: Final = 20
"""Conversations that are open at once."""

INSIDE: Final = "a song that is in the folder\n"


class Tester:
    """What a check has: a running server, its dialect, and what was put into the box.

    Attributes:
        secret: What lies in files beside the shared folder: nobody may see it or change it.
        shared: The shared folder's name.
        last: The wire that was used last, whose `sent` the report shows.
    """

    def __init__(
        self, server: SandboxedServer, dialect: Dialect, patience: float, *, shared: str, secret: str
    ) -> None:
        self.server = server
        self.dialect = dialect
        self.shared = shared
        self.secret = secret.encode()
        self.last: Wire | None = None
        self._patience = patience

    @contextmanager
    def wire(self) -> Iterator[Wire]:
        """Yields a new connection on which nothing was said."""
        made = Wire(self.server.connect(), self._patience, self.server.drained)
        self.last = made
        try:
            yield made
        finally:
            made.close()

    @contextmanager
    def conversation(self) -> Iterator[Conversation]:
        """Yields a new conversation, after the greeting; what the server refuses in it unasked is a fault."""
        with self.wire() as wire:
            conversation = self.dialect.converse(wire)
            conversation.greet()
            try:
                yield conversation
            except Refused as refused:
                raise Fault("that it is done", f"it was refused: {refused}") from refused

    def refused(self, action: Callable[[], object], what: str) -> None:
        """Expects that the server says no, in an orderly way.

        Raises:
            Fault: It did not.
        """
        try:
            action()
        except Refused:
            return
        raise Fault(f"that {what} is refused", "it was done")


def prepared(shared: str, secret: str) -> Prepared:
    """Returns what the checks find in the box: directories, as the base profile cannot make any, and traps."""
    return Prepared(
        folders=(f"{shared}/music/rock", f"{shared}/empty", f"{shared}-2"),
        files={
            f"{shared}/music/song.txt": INSIDE,
            f"{shared}/music/rock/deep.txt": INSIDE,
            "outside.txt": secret,
            f"{shared}-2/outside.txt": secret,
        },
        links={f"{shared}/way-out": "../outside.txt", f"{shared}/way-up": ".."},
    )


CHECKS: Final[list[Check[Tester]]] = []
"""All of them, in the order in which they are run."""


def _check(
    point: int, name: str, hint: str, *cases: str
) -> Callable[[Callable[[Tester], None]], Callable[[Tester], None]]:
    def add(function: Callable[[Tester], None]) -> Callable[[Tester], None]:
        CHECKS.append(Check(name, point, cases, hint, function))
        return function

    return add


def _same(seen: bytes, content: bytes, expected: str) -> None:
    if seen != content:
        first = next(
            (at for at, (a, b) in enumerate(zip(seen, content, strict=False)) if a != b),
            min(len(seen), len(content)),
        )
        raise Fault(expected, f"{len(seen)} bytes for {len(content)}, different from byte {first} on")


@_check(
    2,
    "many at once",
    "one thread, process or task for each connection: accept() must not wait for the client before",
    "C26",
)
def _many(test: Tester) -> None:
    with ExitStack() as stack:
        users = [stack.enter_context(test.conversation()) for _ in range(MANY)]
        for number, user in enumerate(users):
            user.put(f"user-{number}.txt", b"%d" % number)
        for number, user in enumerate(users):
            test.last = user.wire
            _same(user.get(f"user-{number}.txt"), b"%d" % number, "each user's own content")


@_check(
    2, "a silent client holds up nobody", "do not read from a client in the loop that accepts", "C55", "C57"
)
def _silent(test: Tester) -> None:
    with test.wire() as silent, test.conversation() as half, test.conversation() as other:
        half.wire.send(half.request("ls", ".")[:3], "the first 3 bytes of a request")
        test.last = other.wire
        other.put("quick.txt", b"quick")
        _same(other.get("quick.txt"), b"quick", "the content that was put")
        silent.sent = ""


@_check(3, "dots", "work out .. as text first, and refuse what leaves the folder: in every operation", "C15")
def _dots(test: Tester) -> None:
    _no_way_out(
        test,
        "../outside.txt",
        "/../outside.txt",
        "music/../../outside.txt",
        "music/rock/../../../outside.txt",
    )


@_check(
    3, "absolute names", "os.path.join(root, '/etc/passwd') is '/etc/passwd': '/' is the shared folder", "C14"
)
def _absolute(test: Tester) -> None:
    _no_way_out(test, "/box/outside.txt", "//box/outside.txt")


@_check(
    3,
    "a neighbour with the same beginning",
    "startswith('/home/ann') is true for '/home/anna': compare whole names",
    "C17",
)
def _neighbour(test: Tester) -> None:
    _no_way_out(test, f"../{test.shared}-2/outside.txt", f"/../{test.shared}-2/outside.txt")


@_check(3, "links", "a link in the folder may lead out of it: look at every step with os.path.islink", "C20")
def _links(test: Tester) -> None:
    _no_way_out(test, "way-out", "way-up/outside.txt")


@_check(3, "cd out of the folder", "cd checks its path like every other operation", "C15")
def _cd_out(test: Tester) -> None:
    for way in ("..", "/..", "music/../.."):
        with test.wire() as wire:
            user = test.dialect.converse(wire)
            user.greet()
            with suppress(Refused, Gone):
                user.cd(way)
                if "outside.txt" in user.ls():
                    raise Fault("that cd stays in the folder", f"cd {way} led out of it", f'cd "{way}", ls')


def _no_way_out(test: Tester, *ways: str) -> None:
    """Expects that no operation shows or changes what lies there; how that is refused is left to the server."""
    for way in ways:
        for op in ("get", "put", "ls"):
            with test.wire() as wire:
                user = test.dialect.converse(wire)
                user.greet()
                seen = ""
                with suppress(Refused, Gone):
                    if op == "get":
                        seen = "its content" if test.secret in user.get(way) else ""
                    elif op == "put":
                        user.put(way, b"changed")
                    else:
                        folder = way.rpartition("/")[0]
                        seen = "its name" if folder and "outside.txt" in user.ls(folder) else ""
                if seen:
                    raise Fault("that nobody sees what is outside of the folder", seen, f'{op} "{way}"')
    for name in ("outside.txt", f"{test.shared}-2/outside.txt"):
        if test.server.content(name) != test.secret:
            raise Fault(
                "that nobody changes what is outside of the folder", f"{name} was changed", f'put "{ways[0]}"'
            )


@_check(5, "cd and back", "keep the directory in the session, and start relative paths from it")
def _cd(test: Tester) -> None:
    with test.conversation() as user:
        user.cd("music")
        _same(user.get("song.txt"), INSIDE.encode(), "music/song.txt as song.txt after cd music")
        user.cd("rock")
        _same(user.get("deep.txt"), INSIDE.encode(), "music/rock/deep.txt after cd music, cd rock")
        user.cd("..")
        if "song.txt" not in user.ls():
            raise Fault("song.txt in the listing of music after cd ..", "it is not there")
        user.cd("/")
        if "music" not in user.ls():
            raise Fault("the folder itself after cd /", "its listing has no music")


@_check(5, "cd to nowhere", "look whether it is a directory before you change to it", "C10")
def _cd_nowhere(test: Tester) -> None:
    with test.conversation() as user:
        test.refused(lambda: user.cd("no-such-folder"), "cd to what is not there")
        test.refused(lambda: user.cd("music/song.txt"), "cd to a file")
        if "music" not in user.ls():
            raise Fault("that a refused cd changes nothing", "another directory is listed")


@_check(
    5,
    "each connection has its own directory",
    "no os.chdir, no attribute of the server or class: one variable for each session",
    "C26",
)
def _own_directory(test: Tester) -> None:
    with test.conversation() as one, test.conversation() as two:
        one.cd("music")
        test.last = two.wire
        if "music" not in two.ls():
            raise Fault(
                "that the cd of one user moves nobody else",
                "the other one is in music too",
                "cd by one, ls by another",
            )


@_check(6, "names and kinds", "files and directories, with their names as they are")
def _ls(test: Tester) -> None:
    with test.conversation() as user:
        names = ("plain.txt", "with space.txt", "中文.txt", "-rf", "semi;colon$(x)")
        for name in names:
            user.put(name, name.encode())
        there = user.ls()
        if missing := {*names, "music", "empty"} - there.keys():
            raise Fault("all names in the listing", f"missing: {', '.join(sorted(missing))}")
        if there["music"].kind not in ("dir", None) or there["plain.txt"].kind not in ("file", None):
            raise Fault(
                "music as dir, plain.txt as file", f"{there['music'].kind}, {there['plain.txt'].kind}"
            )
        for name in names:
            if there[name].size not in (len(name.encode()), None):
                raise Fault(f"a size of {len(name.encode())} for {name}", str(there[name].size))


@_check(6, "an empty directory", "a listing of nothing is an answer too", "C08")
def _ls_empty(test: Tester) -> None:
    with test.conversation() as user:
        if found := user.ls("empty"):
            raise Fault("a listing without entries", ", ".join(sorted(found))[:200])
        if "song.txt" not in user.ls("music"):
            raise Fault("song.txt in the listing of music", "it is not there")


@_check(6, "ls of what is not there", "an answer that says no, after which the connection goes on", "C10")
def _ls_nothing(test: Tester) -> None:
    with test.conversation() as user:
        test.refused(lambda: user.ls("no-such-folder"), "ls of what is not there")
        user.ls()


@_check(
    7,
    "contents of every size",
    "read in a loop until all of the announced size is there; write and read bytes, not text",
    "C08",
)
def _contents(test: Tester) -> None:
    source = random.Random(7)  # noqa: S311 -- content that compresses to nothing, and no secret
    with test.conversation() as user:
        for size in (0, 1, 1023, 1024, 1025, 70_000, (1 << 20) + 3):
            content = source.randbytes(size)
            user.put("content.bin", content)
            _same(user.get("content.bin"), content, "the content that was put")
        content = b"line\r\nline\n\x1a\x00\xff" * 10
        user.put("content.bin", content)
        _same(user.get("content.bin"), content, "the content that was put, line ends as they are")


@_check(
    7,
    "byte by byte",
    "recv returns what is there, also half a length: read in a loop until all of it has come",
    "C01",
)
def _dribble(test: Tester) -> None:
    with test.conversation() as user:
        user.wire.dribble(user.request("put", "dribble.txt", b"drop by drop"), "a put, byte by byte")
        user.done()
        user.wire.dribble(user.request("get", "dribble.txt"), "a get, byte by byte")
        _same(user.content(), b"drop by drop", "the content that was put")


@_check(
    7,
    "a shorter file over a longer one",
    "a put replaces: open with 'wb', or rename a new file over the old one",
    "C50",
)
def _shorter(test: Tester) -> None:
    with test.conversation() as user:
        user.put("file.txt", b"a long content")
        user.put("file.txt", b"short")
        _same(user.get("file.txt"), b"short", "the second content alone")


@_check(
    7,
    "a digest that does not fit",
    "compare the digest of what came with the one that was sent, before the file gets its name",
    "C45",
)
def _spoilt(test: Tester) -> None:
    if not test.dialect.wrong_digest:
        raise NotScored("the dialect has no digests")
    with test.conversation() as user:
        user.put("kept.txt", b"the old content")
        user.wire.send(
            test.dialect.spoilt(user, "kept.txt", b"corrupted"), "a put with the digest of something else"
        )
        test.refused(user.done, "a content that does not fit its digest")
        _same(user.get("kept.txt"), b"the old content", "the old content, as the new one was refused")


@_check(
    7, "an upload that breaks off", "write to a temporary name, and rename it when all has come", "C04", "C47"
)
def _cut(test: Tester) -> None:
    with test.conversation() as looking:
        looking.put("kept.txt", b"the old content")
        before = set(looking.ls())
        with test.conversation() as user:
            whole = user.request("put", "kept.txt", bytes(40_000))
            user.wire.send(whole[:20_000], "the first half of a put")
            user.wire.wait_until_read()
            test.last = looking.wire
            if new := set(looking.ls()) - before:
                raise Fault("that nobody sees half a file", f"ls shows {', '.join(sorted(new))[:200]}")
            _same(looking.get("kept.txt"), b"the old content", "the old content while the new one arrives")
        _same(looking.get("kept.txt"), b"the old content", "the old content after the upload broke off")


@_check(
    7,
    "the request after a refused put",
    "read the refused content and drop it, or say that you close, and close",
    "C10",
)
def _refused_put(test: Tester) -> None:
    with test.conversation() as user:
        try:
            user.put("music", bytes(5000))
        except Refused as refused:
            if refused.fatal:
                return
        else:
            raise Fault("that a put over a directory is refused", "it was done")
        user.put("after.txt", b"after")
        _same(user.get("after.txt"), b"after", "the content that was put after a refusal")


@_check(7, "a get of what is not there", "an answer that says no, after which the connection goes on", "C10")
def _get_nothing(test: Tester) -> None:
    with test.conversation() as user:
        test.refused(lambda: user.get("no-such-file"), "a get of what is not there")
        test.refused(lambda: user.get("music"), "a get of a directory")
        user.ls()


@_check(
    7,
    "messages that make no sense",
    "check a length before you read that much; catch what json.loads raises; answer with an error",
    "C06",
    "C11",
    "C23",
)
def _nonsense(test: Tester) -> None:
    for what, data in test.dialect.messages.items():
        with test.wire() as wire:
            user = test.dialect.converse(wire)
            user.greet()
            wire.send(data, what)
            with suppress(Refused, Gone):
                user.done()
                raise Fault(
                    "an error, or the end of the connection", "it was answered as if it were right", what
                )
        _alive(test, what)


@_check(7, "clients that vanish", "a recv that returns nothing is the end: leave the loop, and close", "C04")
def _vanish(test: Tester) -> None:
    for count in (0, 2, 4, 20, 200):
        with test.conversation() as user:
            user.wire.send(
                user.request("put", "vanish.txt", bytes(400))[:count], f"the first {count} bytes of a put"
            )
            user.wire.wait_until_read()
        _alive(test, f"a client that vanished after {count} bytes of a put")


def _alive(test: Tester, what: str) -> None:
    if (code := test.server.exit()) is not None:
        raise Fault("that the server goes on", f"it ended with {code}", what)
    with test.conversation() as user:
        try:
            user.ls()
        except (Fault, Refused) as error:
            raise Fault("that the server goes on for others", str(error), what) from error


def new_secret() -> str:
    """Returns what lies outside: of each run another one, so that no server can know it."""
    return f"secret {secrets.token_hex(16)}\n"
