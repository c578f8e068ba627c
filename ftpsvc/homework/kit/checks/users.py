"""Point 2: many users at once."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from typing import Final

from ftpsvc.homework.kit.checks.tester import Checks, Tester, same
from ftpsvc.homework.kit.findings import Fault
from ftpsvc.homework.kit.said import said
from ftpsvc.homework.kit.server import AGAIN, Usage

CHECKS: Final = Checks(2)

MANY: Final = 20
"""Conversations that are open at once."""

LARGE: Final = 24 << 20
"""Bytes that no buffers of two sockets hold."""

_WARM: Final = 10
_MORE: Final = 60
_LOOKS: Final = 6


@CHECKS.add(
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
            same(user.get(f"user-{number}.txt"), b"%d" % number, said("each user's own content"))


@CHECKS.add(
    "a silent client holds up nobody", "do not read from a client in the loop that accepts", "C55", "C57"
)
def _silent(test: Tester) -> None:
    with test.wire() as silent, test.conversation() as half, test.conversation() as other:
        half.begin(half.request("ls", "."), 3, said("the first 3 bytes of a request"))
        test.last = other.wire
        other.put("quick.txt", b"quick")
        same(other.get("quick.txt"), b"quick", said("the content that was put"))
        silent.sent = ""


@CHECKS.add(
    "a reader who does not read",
    "a send that waits for one client must not keep the others waiting: no lock is held meanwhile",
    "C09",
    "C55",
)
def _reader(test: Tester) -> None:
    test.needs_room(LARGE)
    content = bytes(LARGE)
    with test.conversation() as user:
        user.put("large.bin", content)
    with test.conversation() as asking, test.conversation() as other:
        asking.say(asking.request("get", "large.bin"), said("a get whose answer nobody reads"))
        asking.opened()
        asking.wire.exactly(1 << 16, said("the content that was put"))  # the server is in the middle of it
        test.last = other.wire
        other.put("quick.txt", b"quick")
        same(other.get("quick.txt"), b"quick", said("the content that was put"))


@CHECKS.add(
    "many, one after the other",
    "close the socket and let the thread end when a client has gone: with, or finally",
    "C59",
)
def _one_after_the_other(test: Tester) -> None:
    def come_and_go(count: int) -> None:
        for _ in range(count):
            with test.conversation() as user:
                user.ls("empty")

    come_and_go(_WARM)
    before = _settled(test)
    come_and_go(_MORE)
    after = _settled(test)
    for what, there, then in (
        (said("threads"), before.threads, after.threads),
        (said("open descriptors"), before.descriptors, after.descriptors),
    ):
        if then >= there + _MORE // 2:
            raise Fault(
                said("as many {what} after {count} clients as before", what=what, count=_MORE),
                said("{before} before, {after} after", before=there, after=then),
                said("{count} clients, one after the other", count=_MORE),
            )


@CHECKS.add(
    "started again at once",
    AGAIN,
    "C58",
)
def _again(test: Tester) -> None:
    with test.conversation() as user:
        user.put("kept.txt", b"kept")
        # The server's end of this connection closes first, which is what keeps a port taken.
        test.server.again(signal.SIGKILL)
    with test.conversation() as user:
        same(user.get("kept.txt"), b"kept", said("what was stored before it was started again"))


def _settled(test: Tester) -> Usage:
    """Returns what the server uses when the ends of connections have come to it: the least of some looks."""
    seen = [test.server.usage()]
    for _ in range(_LOOKS):
        if test.server.exit(0.05) is not None:
            break
        seen.append(test.server.usage())
    return min(seen, key=lambda one: one.threads + one.descriptors)
