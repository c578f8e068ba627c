"""Point 9: resume."""

from __future__ import annotations

import random
from typing import Final

from ftpsvc.homework.kit.checks.tester import Checks, Tester, same
from ftpsvc.homework.kit.findings import Fault, Gone, Refused
from ftpsvc.homework.kit.said import said

CHECKS: Final = Checks(9)

_SIZE: Final = 300_000
_HALF: Final = 150_000


def _content(seed: int) -> bytes:
    return random.Random(seed).randbytes(_SIZE)  # noqa: S311 -- content that compresses to nothing, and no secret


def _break_off(test: Tester, content: bytes) -> None:
    """Sends the first half of an upload, and vanishes."""
    with test.conversation() as user:
        user.begin(
            user.resumed("resumed.bin", content), _HALF, said("the first half of a put that can be resumed")
        )
        user.wire.wait_until_read()


@CHECKS.add(
    "an upload goes on",
    "keep what has come of an upload, and tell its size to a client that asks for it",
    "C47",
)
def _upload(test: Tester) -> None:
    content = _content(1)
    _break_off(test, content)
    with test.conversation() as user:
        user.say(user.resumed("resumed.bin", content), said("a put that goes on"))
        user.done()
        if user.offset == 0:
            raise Fault(said("an offset above 0: half of it was sent"), said("0: it begins again"))
        same(user.get("resumed.bin"), content, said("the whole content after the upload went on"))


@CHECKS.add("a download goes on", "file.seek(offset), and only then read", "C49")
def _download(test: Tester) -> None:
    content = _content(2)
    with test.conversation() as user:
        user.put("whole.bin", content)
        for offset in (1, _HALF, _SIZE - 1):
            same(
                user.get("whole.bin", offset),
                content[offset:],
                said("the content from byte {offset} on", offset=offset),
            )


@CHECKS.add(
    "another file of the same name and size",
    "compare the digest of what you have with that of the same part of the new file: a size proves nothing",
    "C48",
)
def _other(test: Tester) -> None:
    first, second = _content(3), _content(4)
    _break_off(test, first)
    with test.conversation() as user:
        user.put("before.txt", b"before")
    with test.entered() as user:
        try:
            user.say(user.resumed("resumed.bin", second), said("a put that goes on, of another content"))
            user.done()
        except (Refused, Gone):
            return
        same(user.get("resumed.bin"), second, said("the second content, or a refusal"))


@CHECKS.add("offsets that make no sense", "an offset is a number from 0 to the size of the file", "C49")
def _offsets(test: Tester) -> None:
    with test.conversation() as user:
        user.put("short.txt", b"short")
    for offset in (-1, 6, 1 << 62):
        with test.entered() as user:
            try:
                test.refused(
                    lambda: user.get("short.txt", offset),  # noqa: B023 -- called at once
                    said("a get from byte {offset} on, of 5", offset=offset),
                )
            except Gone:
                continue
    with test.conversation() as user:
        same(user.get("short.txt"), b"short", said("the content that was put"))
