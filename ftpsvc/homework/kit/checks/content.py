"""Point 7: put and get, with equal digests."""

from __future__ import annotations

import random
import signal
from contextlib import suppress
from typing import Final

from ftpsvc.homework.kit.checks.tester import Checks, Tester, alive, same
from ftpsvc.homework.kit.findings import Fault, Garbled, Gone, NotScored, Refused
from ftpsvc.homework.kit.said import said

CHECKS: Final = Checks(7)

_SIZES: Final = (0, 1, 1023, 1024, 1025, 70_000, (1 << 20) + 3)

LARGE: Final = 32 << 20
"""Bytes of a file that is put and got."""

ODD: Final = (
    "it's", 'say "hi"', "a;b", "$(id)", "`id`", "--help", "tab\tin it", "*", "?", "a|b", "a:b", "CON", " before",
    "after ", "dot.", ".hidden", "emoji 😀.txt", "עברית.txt", "ä" * 100, "x" * 255, "%s%n", "null", "..a", "a..",
)  # fmt: skip
"""Names that file systems hold and programs trip over."""


@CHECKS.add(
    "contents of every size",
    "read in a loop until all of the announced size is there; write and read bytes, not text",
    "C08",
)
def _contents(test: Tester) -> None:
    test.needs_room(_SIZES[-1])
    source = random.Random(7)  # noqa: S311 -- content that compresses to nothing, and no secret
    with test.conversation() as user:
        for size in _SIZES[not test.dialect.empty_content :]:
            content = source.randbytes(size)
            user.put("content.bin", content)
            same(user.get("content.bin"), content, said("the content that was put"))
        content = b"line\r\nline\n\x1a\x00\xff" * 10
        user.put("content.bin", content)
        same(user.get("content.bin"), content, said("the content that was put, line ends as they are"))


@CHECKS.add(
    "byte by byte",
    "recv returns what is there, also half a length: read in a loop until all of it has come",
    "C01",
)
def _dribble(test: Tester) -> None:
    with test.conversation() as user:
        user.dribble(user.request("put", "dribble.txt", b"drop by drop"), said("a put, byte by byte"))
        user.done()
        user.dribble(user.request("get", "dribble.txt"), said("a get, byte by byte"))
        same(user.content(), b"drop by drop", said("the content that was put"))


@CHECKS.add(
    "more bytes than announced",
    "recv(min(1024, what is still to come)): what comes behind is another message, or nothing at all",
    "C05",
    "C41",
)
def _more(test: Tester) -> None:
    with test.conversation() as user:
        user.put("kept.txt", b"the old content")
    what = said("a put of 5 bytes with 3000 more behind them")
    with test.entered() as user, suppress(Refused, Gone, Garbled):
        for piece in user.request("put", "kept.txt", b"hello"):
            more = b"\0" * 3000 if piece.data == b"hello" else b""
            user.wire.send(piece.data + more, what)
        user.done()
    with test.conversation() as user:
        seen = user.get("kept.txt")
    if seen not in (b"hello", b"the old content"):
        expected = said("the 5 bytes that were announced, or the old content")
        raise Fault(expected, said("{count} bytes", count=len(seen)), what)
    alive(test, what)


@CHECKS.add(
    "a shorter file over a longer one",
    "a put replaces: open with 'wb', or rename a new file over the old one",
    "C50",
)
def _shorter(test: Tester) -> None:
    with test.conversation() as user:
        user.put("file.txt", b"a long content")
        user.put("file.txt", b"short")
        same(user.get("file.txt"), b"short", said("the second content alone"))


@CHECKS.add(
    "a digest that does not fit",
    "compare the digest of what came with the one that was sent, before the file gets its name",
    "C45",
)
def _spoilt(test: Tester) -> None:
    with test.conversation() as user:
        user.put("kept.txt", b"the old content")
        pieces = user.spoilt("kept.txt", b"corrupted")
        what = said("a put with the digest of something else")

        def spoilt() -> None:
            user.say(pieces, what)
            user.done()

        if test.dialect.answers_put:
            test.refused(spoilt, said("a content that does not fit its digest"))
        else:
            spoilt()
        same(user.get("kept.txt"), b"the old content", said("the old content, as the new one was refused"))


@CHECKS.add(
    "an upload that breaks off", "write to a temporary name, and rename it when all has come", "C04", "C47"
)
def _cut(test: Tester) -> None:
    with test.conversation() as looking:
        looking.put("kept.txt", b"the old content")
        before = set(looking.ls())
        with test.conversation() as user:
            user.begin(
                user.request("put", "kept.txt", bytes(40_000)), 20_000, said("the first half of a put")
            )
            user.wire.wait_until_read()
            test.last = looking.wire
            if new := set(looking.ls()) - before:
                shown = said("ls shows {names}", names=", ".join(sorted(new))[:200])
                raise Fault(said("that nobody sees half a file"), shown)
            same(
                looking.get("kept.txt"), b"the old content", said("the old content while the new one arrives")
            )
        same(looking.get("kept.txt"), b"the old content", said("the old content after the upload broke off"))


@CHECKS.add(
    "the request after a refused put",
    "read the refused content and drop it, or say that you close, and close",
    "C10",
)
def _refused_put(test: Tester) -> None:
    if not test.dialect.answers_put:
        raise NotScored(said("the server answers no put"))
    with test.conversation() as user:
        if test.refused(lambda: user.put("music", bytes(5000)), said("a put over a directory")).fatal:
            return
        user.put("after.txt", b"after")
        same(user.get("after.txt"), b"after", said("the content that was put after a refusal"))


@CHECKS.add("a get of what is not there", "an answer that says no, after which the connection goes on", "C10")
def _get_nothing(test: Tester) -> None:
    with test.conversation() as user:
        test.refused(lambda: user.get("no-such-file"), said("a get of what is not there"))
        test.refused(lambda: user.get("music"), said("a get of a directory"))
        user.ls()


@CHECKS.add(
    "messages that make no sense",
    "check a length before you read that much; catch what json.loads raises; answer with an error",
    "C06",
    "C11",
    "C23",
)
def _nonsense(test: Tester) -> None:
    for what, data in test.dialect.messages.items():
        with test.entered() as user:
            with suppress(Gone):
                user.wire.send(data, what)
            with suppress(Refused, Gone):
                user.done()
                raise Fault(
                    said("an error, or the end of the connection"),
                    said("it was answered as if it were right"),
                    what,
                )
        alive(test, what)


@CHECKS.add("clients that vanish", "a recv that returns nothing is the end: leave the loop, and close", "C04")
def _vanish(test: Tester) -> None:
    for count in (0, 2, 4, 20, 200):
        with test.conversation() as user:
            user.begin(
                user.request("put", "vanish.txt", bytes(400)),
                count,
                said("the first {count} bytes of a put", count=count),
            )
            user.wire.wait_until_read()
        alive(test, said("a client that vanished after {count} bytes of a put", count=count))


@CHECKS.add(
    "several messages at once",
    "read as many bytes as the message has, and no more: what follows is the next message",
    "C02",
    "C03",
)
def _at_once(test: Tester) -> None:
    if not test.dialect.pipelined:
        raise NotScored(said("in this dialect each side waits for the other"))
    with test.conversation() as user:
        wanted = {"first.txt": b"first", "second.txt": b"the second", "third.txt": b"3"}
        requests = [user.request("put", name, content) for name, content in wanted.items()]
        data = b"".join(piece.data for request in requests for piece in request)
        user.wire.send(data, said("three puts in one piece"))
        for _ in wanted:
            user.done()
        for name, content in wanted.items():
            same(user.get(name), content, said("the content of {name}", name=name))


@CHECKS.add(
    "odd names",
    "a name is stored as it is or refused; never change it, never hand it to a shell",
    "C22",
    "C30",
)
def _odd_names(test: Tester) -> None:
    with test.conversation() as user:
        user.ls()
    for name in ODD:
        if not test.dialect.holds(name):
            continue
        content = name.encode()
        with test.entered() as user:
            try:
                user.put(name, content)
            except (Refused, Gone):
                continue
            if not test.dialect.answers_put and name not in user.ls():
                continue
            same(user.get(name), content, said("the content of {name}", name=repr(name)))
            if name not in user.ls():
                raise Fault(
                    said("{name} in the listing, after it was stored", name=repr(name)),
                    said("it is not there"),
                )
    alive(test, said("odd names"))


@CHECKS.add(
    "a large file in little memory",
    "read a piece, write it, read the next one: never keep a whole file in a variable",
    "C52",
)
def _large(test: Tester) -> None:
    test.needs_room(LARGE + (1 << 20))
    with test.conversation() as user:
        user.put("small.bin", bytes(1 << 20))
        user.get("small.bin")
    before = test.server.usage().peak
    with test.conversation() as user:
        user.put("large.bin", bytes(LARGE))
        same(user.get("large.bin")[-1:], b"\0", said("the content that was put"))
    more = test.server.usage().peak - before
    if more > LARGE // 2:
        raise Fault(
            said("a file of {size} MiB in much less memory than that", size=LARGE >> 20),
            said("{more} MiB more memory than before", more=more >> 20),
            said("put and get of {size} MiB", size=LARGE >> 20),
        )


@CHECKS.add(
    "killed in an upload",
    "write to a temporary name, and rename it when all has come: then a crash leaves the old file",
    "C54",
    "C47",
)
def _killed(test: Tester) -> None:
    with test.conversation() as user:
        user.put("kept.txt", b"the old content")
        before = set(user.ls())
    with test.conversation() as user:
        user.begin(user.request("put", "kept.txt", bytes(40_000)), 20_000, said("the first half of a put"))
        user.wire.wait_until_read()
        test.server.again(signal.SIGKILL)
    with test.conversation() as user:
        if new := set(user.ls()) - before:
            shown = said("ls shows {names}", names=", ".join(sorted(new))[:200])
            raise Fault(said("that nobody sees half a file"), shown)
        same(user.get("kept.txt"), b"the old content", said("the old content, after the server was killed"))
