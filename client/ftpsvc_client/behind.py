"""Work on a payload behind its receiving: another thread hashes and writes the pieces while the next ones arrive.

The thread that receives stays the one that owns the connection and tells the watcher; the other one gets whole pieces,
in order, and nothing else. Memory is bounded by the number of buffers that go round between the two.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

from ftpsvc.buffers import BUFFER_BYTES, BufferPool
from ftpsvc.transport import Channel

_BUFFERS = 4
WORTH_IT = 2 * _BUFFERS * BUFFER_BYTES
"""Payloads of fewer bytes are over before a second thread is of use (docs/design.md, "Buffers")."""


def receive_behind(
    channel: Channel, pool: BufferPool, work: Callable[[memoryview], object], advance: Callable[[int], object]
) -> None:
    """Receives the payload under way while another thread works on what has arrived.

    That thread has ended when this returns or raises, whatever happens.

    Args:
        channel: The connection. After an error the rest of the payload is still to be read.
        pool: Lends the buffers.
        work: Is given every piece, in order, in the other thread; valid until it returns. After an exception of its
            own it is given no more.
        advance: Is told, in the caller's thread, how many bytes were worked on.

    Raises:
        BaseException: What `work` or `advance` raised.
        FtpsvcError: As `Channel.read_payload`.
    """
    tasks: queue.SimpleQueue[tuple[memoryview, int] | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[memoryview, int]] = queue.SimpleQueue()
    problems: list[BaseException] = []

    def keep_working() -> None:
        while (task := tasks.get()) is not None:
            buffer, count = task
            if not problems:
                try:
                    work(buffer[:count])
                except BaseException as problem:  # noqa: BLE001  # raised again where the caller is
                    problems.append(problem)
                    count = 0
            else:
                count = 0
            done.put((buffer, count))

    connection = channel.connection
    thread = threading.Thread(target=keep_working, name="ftpsvc-behind")
    with contextlib.ExitStack() as lent:
        for _ in range(_BUFFERS):
            done.put((lent.enter_context(pool.borrow(connection.incoming_payload)), 0))
        try:
            thread.start()
            while due := connection.incoming_payload:
                buffer, count = done.get()
                if count:
                    advance(count)
                if problems:
                    break
                size = min(due, len(buffer))
                channel.read_payload(buffer[:size])
                tasks.put((buffer, size))
        finally:
            tasks.put(None)
            if thread.ident is not None:
                thread.join()
        while not done.empty():
            if count := done.get()[1]:
                advance(count)
    if problems:
        raise problems.pop()
