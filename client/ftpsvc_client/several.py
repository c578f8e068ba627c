"""One tree over several connections: pieces of work handed out to threads, each with a client of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, TypeVar

from ftpsvc.exceptions import Busy, Unavailable
from ftpsvc_client.watching import Progress

if TYPE_CHECKING:
    from ftpsvc_client.conversation import Conversation

_Piece = TypeVar("_Piece")
Worker = AbstractContextManager[Callable[[_Piece], None]]
"""Does pieces of work, one after the other, from its beginning to its end as a context manager in one thread."""

_LOOK_SECONDS = 0.2


@contextmanager
def crew(make: Callable[[], Conversation], wanted: int) -> Iterator[list[Conversation]]:
    """Opens further connections, all at once, and closes them in the end.

    Args:
        make: Opens one, and does not wait until there is room for it.
        wanted: How many.

    Yields:
        Those that the server has room for: less than two are of no use, the one that asks can do it all.

    Raises:
        FtpsvcError: One cannot be opened for another reason than room.
    """
    made: list[Conversation] = []
    failures: list[BaseException] = []

    def open_one() -> None:
        try:
            made.append(make())
        except (Busy, Unavailable):
            pass
        except BaseException as error:  # noqa: BLE001  # raised again where it can be seen
            failures.append(error)

    threads = [threading.Thread(target=open_one, name="ftpsvc-connect") for _ in range(wanted)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        yield made
    finally:
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        for conversation in made:
            conversation.close()


def spread(pieces: Iterable[_Piece], workers: list[Worker[_Piece]], stop: Callable[[], object]) -> None:
    """Hands out pieces of work as they come to whoever is free.

    Args:
        pieces: The work; gone through in the calling thread.
        workers: Who does it, each in a thread of its own.
        stop: Is called when it is to end early: makes the workers fail soon.

    Raises:
        BaseException: The first thing that went wrong, in a worker or in `pieces`. All threads have ended by then.
    """
    waiting: queue.Queue[_Piece | None] = queue.Queue(2 * len(workers))
    failures: list[BaseException] = []
    failed = threading.Event()

    def run(worker: Worker[_Piece]) -> None:
        try:
            with worker as do:
                while (piece := waiting.get()) is not None and not failed.is_set():
                    do(piece)
        except BaseException as error:  # noqa: BLE001  # raised again where it can be seen
            failures.append(error)
            failed.set()

    threads = [threading.Thread(target=run, args=(worker,), name="ftpsvc-tree") for worker in workers]
    for thread in threads:
        thread.start()
    try:
        for piece in pieces:
            if not _given(waiting, piece, failed):
                break
    except BaseException as error:  # noqa: BLE001  # raised again once all threads have ended
        failures.insert(0, error)
        failed.set()
    finally:
        _end(waiting, threads, failed, failures, stop)
    if failures:
        raise failures[0]


def _given(waiting: queue.Queue[_Piece | None], piece: _Piece | None, failed: threading.Event) -> bool:
    while not failed.is_set():
        try:
            waiting.put(piece, timeout=_LOOK_SECONDS)
        except queue.Full:
            continue
        return True
    return False


def _end(
    waiting: queue.Queue[_Piece | None],
    threads: list[threading.Thread],
    failed: threading.Event,
    failures: list[BaseException],
    stop: Callable[[], object],
) -> None:
    for _ in threads:
        if not _given(waiting, None, failed):
            break
    stopped = False
    while any(thread.is_alive() for thread in threads):
        if failed.is_set():
            if not stopped:
                stopped = True
                stop()
            while not waiting.empty():  # whoever waits for work is to see that there is no more
                waiting.get_nowait()
            for _ in threads:
                if not waiting.full():
                    waiting.put_nowait(None)
        try:
            for thread in threads:
                thread.join(_LOOK_SECONDS)
        except KeyboardInterrupt as error:
            failures.insert(0, error)
            failed.set()


class Together:
    """A watcher for several threads that tells another one of whole files, since that can follow but one at a time."""

    def __init__(self, watcher: Progress) -> None:
        self._watcher = watcher
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._files: dict[int, tuple[int, int]] = {}

    def expect(self, files: int, size: int) -> None:
        """Adds up what each thread expects."""
        with self._lock:
            self._files[threading.get_ident()] = files, size
            self._watcher.expect(
                sum(files for files, _ in self._files.values()), sum(size for _, size in self._files.values())
            )

    def begin(self, name: str, size: int) -> None:
        """Remembers the file of this thread."""
        self._mine.file = name, size
        self._mine.moved = 0

    def advance(self, count: int) -> None:
        """Counts for this thread."""
        self._mine.moved += count

    def phase(self, name: str, size: int) -> None:
        """Forgets what was moved in the phase before."""
        self._mine.moved = 0

    def verifying(self) -> None:
        """Is of no interest: other threads go on meanwhile."""

    def end(self, *, done: bool) -> None:
        """Tells of the file as a whole."""
        with self._lock:
            self._watcher.begin(*self._mine.file)
            self._watcher.advance(self._mine.moved)
            self._watcher.end(done=done)
