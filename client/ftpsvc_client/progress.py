"""Progress bars on a terminal, and the account of a transfer that was interrupted. The only module that imports tqdm.

Bars appear once a transfer has taken half a second: the file's own, and for trees one for the whole. Being told costs
well under a microsecond; drawing happens ten times a second at most (benchmarks/progress_cost.py measures both).
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from ftpsvc.text import count, printable
from ftpsvc_client.watching import Unwatched

if TYPE_CHECKING:
    from tqdm import tqdm as Tqdm  # noqa: N812  # a class that its package spells like a function

DELAY = 0.5
"""Seconds that a transfer takes before a bar appears."""
INTERVAL = 0.1
"""Seconds between two drawings."""
_SLOW_TO_VERIFY = 64 << 20
"""Bytes from which waiting for the other side's answer is worth a bar, however fast the bytes went."""


class Watch(Unwatched):
    """Watches the transfers of one command. A context manager: leaving it takes the bars away.

    Attributes:
        done: Files that came to their end.
    """

    def __init__(self, *, verb: str, names: int = 1, show: bool = True, stream: TextIO | None = None) -> None:
        """Begins to watch.

        Args:
            verb: What becomes of a file: `stored` or `fetched`.
            names: How many files or trees were asked for.
            show: Whether bars are wanted; there are none without a terminal in any case.
            stream: Where to draw; None is stderr.
        """
        stream = sys.stderr if stream is None else stream
        self._bars = Bars(stream) if show and is_terminal(stream) else None
        self._verb = verb
        self._files = names
        self._begun = 0
        self._current: str | None = None
        self._verifying = False
        self._sent_ahead = False
        self.done = 0
        if self._bars is None:
            self.advance = _nothing  # type: ignore[method-assign]  # it is called for each piece of each file
        else:
            self.advance = self._bars.advance  # type: ignore[method-assign]

    def of_upload_tree(self) -> Watch | None:
        """Returns who is to watch the upload of a tree: nobody where nothing is drawn, which saves counting it first.

        Its files end before the server has answered for them: the account says so.
        """
        self._sent_ahead = True
        return None if self._bars is None else self

    def expect(self, files: int, size: int) -> None:
        """See `Progress`."""
        self._files = max(self._files, files)
        if self._bars is not None:
            self._bars.expect(files, size)

    def begin(self, name: str, size: int) -> None:
        """See `Progress`."""
        self._begun += 1
        self._current = name
        self._verifying = False
        if self._bars is not None:
            self._bars.begin(name, size)

    def phase(self, name: str, size: int) -> None:
        """See `Progress`."""
        if self._bars is not None:
            self._bars.phase(name, size)

    def verifying(self) -> None:
        """See `Progress`."""
        self._verifying = True
        if self._bars is not None:
            self._bars.verifying()

    def end(self, *, done: bool) -> None:
        """See `Progress`."""
        if done:
            self.done += 1
            self._current = None
        if self._bars is not None:
            self._bars.end()

    def account(self) -> str:
        """Returns what was and was not done, for whoever pressed Ctrl-C."""
        parts = []
        if self.done:
            were = "was" if self.done == 1 else "were"
            if self._sent_ahead:
                parts.append(
                    f"{count(self.done, 'file')} {were} sent, the last of them perhaps not {self._verb}"
                )
            else:
                parts.append(f"{count(self.done, 'file')} {were} {self._verb}")
        elif self._sent_ahead:
            parts.append(f"a part may have been {self._verb}")
        if self._current is not None:
            may = self._verifying and self._verb == "stored"
            parts.append(f"{self._current} {'may or may not have been' if may else 'was not'} {self._verb}")
        if self._files > max(self._begun, 1):
            parts.append("the rest was not tried")
        return ", ".join(parts) or f"nothing was {self._verb}"

    def close(self) -> None:
        """Takes the bars away; the next file brings them back."""
        if self._bars is not None:
            self._bars.close()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Bars:
    """The bars: one for the file under way, and one above it for all files once `expect` said how many there are."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._ascii = not _draws_blocks(stream)
        self._started = self._file_started = self._next = time.monotonic()
        self._name, self._size, self._moved, self._phase = "", 0, 0, ""
        self._files, self._total_size, self._ended, self._total_moved = 0, 0, 0, 0
        self._file_bar: Tqdm[Any] | None = None
        self._total_bar: Tqdm[Any] | None = None

    def expect(self, files: int, size: int) -> None:
        """Takes the numbers of the bar for all files."""
        if not self._files:
            self._started = time.monotonic()
        self._files, self._total_size = files, size

    def begin(self, name: str, size: int) -> None:
        """Starts a file."""
        self._name, self._size, self._moved, self._phase = name, size, 0, ""
        self._file_started = time.monotonic()

    def advance(self, count: int) -> None:
        """Counts bytes, and draws if it is time to."""
        self._moved += count
        now = time.monotonic()
        if now >= self._next:
            self._draw(now)

    def phase(self, name: str, size: int) -> None:
        """Starts a phase of the file: its bar begins anew."""
        self._size, self._moved, self._phase = size, 0, "" if name == "sending" else f"{name}: "
        if self._file_bar is not None:
            self._file_bar.close()
            self._file_bar = None

    def verifying(self) -> None:
        """Says that the bytes are there and the digests are being compared."""
        now = time.monotonic()
        if now - self._file_started >= DELAY or self._size >= _SLOW_TO_VERIFY:
            bar = self._shown_file_bar(now)
            bar.bar_format = "{desc}"
            bar.set_description_str(f"{bar.desc.removesuffix(': ')}: verifying")

    def end(self) -> None:
        """Ends a file."""
        self._total_moved += self._moved
        self._moved = 0
        self._ended += 1
        if self._file_bar is not None:
            self._file_bar.close()
            self._file_bar = None

    def close(self) -> None:
        """Takes the bars away, and forgets what they counted."""
        for bar in (self._file_bar, self._total_bar):
            if bar is not None:
                bar.close()
        self._file_bar = self._total_bar = None
        self._files = self._total_size = self._ended = self._total_moved = 0

    def _draw(self, now: float) -> None:
        self._next = now + INTERVAL
        if self._files > 1 and now - self._started >= DELAY:
            bar = self._total_bar
            if bar is None:
                bar = self._total_bar = self._bar(0, self._total_size, now - self._started)
            bar.total = self._total_size
            bar.set_description_str(f"{self._ended:,}/{count(self._files, 'file')}: ", refresh=False)
            bar.update(self._total_moved + self._moved - bar.n)
        if now - self._file_started >= DELAY:
            bar = self._shown_file_bar(now)
            bar.update(self._moved - bar.n)

    def _shown_file_bar(self, now: float) -> Tqdm[Any]:
        if self._file_bar is None:
            position = 0 if self._total_bar is None else 1
            self._file_bar = self._bar(position, self._size, now - self._file_started)
            self._file_bar.set_description_str(f"{self._shown_name()}: {self._phase}", refresh=False)
        return self._file_bar

    def _shown_name(self) -> str:
        from ftpsvc_client.cli.output import shortened

        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError, AttributeError):
            columns = 80
        return shortened(printable(os.path.basename(self._name) or self._name), max(12, columns // 3))

    def _bar(self, position: int, size: int, elapsed: float) -> Tqdm[Any]:
        import threading

        from tqdm import tqdm

        tqdm.monitor_interval = 0  # no thread that watches over one bar
        tqdm.set_lock(threading.RLock())  # and no lock between processes, which costs a semaphore
        bar: Tqdm[Any] = tqdm(
            total=size, unit="B", unit_scale=True, unit_divisor=1024, file=self._stream, leave=False,
            dynamic_ncols=True, ascii=self._ascii, position=position, mininterval=0, miniters=0, delay=1,
        )  # fmt: skip
        bar.delay = 0  # it was to keep the constructor from drawing
        bar.start_t -= elapsed  # the rate counts from the transfer's start, not from the bar's
        bar.last_print_t = bar.start_t
        return bar


def is_terminal(stream: TextIO | None) -> bool:
    """Returns whether bars can be drawn on a stream: a terminal that can move its cursor."""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # a closed stream
        return False


def _draws_blocks(stream: TextIO) -> bool:
    """Returns whether a stream can show blocks, one column each. Chinese code pages have them, two columns wide."""
    try:
        # What Python writes to Windows' console is always UTF-8; only the device says what the console makes of it.
        device = os.device_encoding(stream.fileno())
    except (OSError, ValueError):
        device = None
    return all(name.lower().startswith(("utf", "cp65001")) for name in (stream.encoding, device) if name)


def _nothing(count: int) -> None:
    pass
