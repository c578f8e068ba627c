"""The log: one event a line, plain or JSON. Never a payload; names escaped and shortened.

Lines are written by a thread of their own, many at a time when many come: neither a slow terminal nor a full pipe
delays a transfer or the accept loop. When more come than can be written, they are counted and dropped.
docs/server.md lists the events.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

from ftpsvc.exceptions import FtpsvcError
from ftpsvc.text import printable

_VALUE_CHARACTERS: Final = 300
_TRACE_CHARACTERS: Final = 6000
_QUEUED_LINES: Final = 20_000
_BATCH_LINES: Final = 500
_FIELDS: Final = "ftpsvc_fields"
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def event(logger: logging.Logger, level: int, name: str, **fields: Any) -> None:
    """Logs an event.

    Args:
        logger: Whose event it is.
        level: A level of `logging`.
        name: What happened: one of the names in docs/server.md.
        fields: What belongs to it: numbers and text. None is left out.
    """
    if logger.isEnabledFor(level):
        logger.log(
            level, name, extra={_FIELDS: {key: value for key, value in fields.items() if value is not None}}
        )


def internal_error(logger: logging.Logger, error: BaseException, **fields: Any) -> None:
    """Logs an error that nobody expected, with its traceback in one line."""
    trace = "".join(traceback.format_exception(error))
    event(
        logger,
        logging.ERROR,
        "internal-error",
        **fields,
        error=repr(error),
        traceback=trace[-_TRACE_CHARACTERS:],
    )


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        parts = [_when(record), f"{record.levelname:<7}", printable(record.getMessage())[:_VALUE_CHARACTERS]]
        parts += [f"{key}={_quoted(_short(key, value))}" for key, value in _fields(record).items()]
        return " ".join(parts)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _when(record),
            "level": record.levelname.lower(),
            "event": printable(record.getMessage())[:_VALUE_CHARACTERS],
        }
        return json.dumps(line | {key: _short(key, value) for key, value in _fields(record).items()})


class Writer(logging.Handler):
    """Writes lines to a stream from a thread of its own. `close` writes what is left and joins the thread."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(_QUEUED_LINES)
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queues a line."""
        try:
            self.put(self.format(record))
        except Exception:  # noqa: BLE001 -- what cannot be logged must not stop what was going on
            self.handleError(record)

    def put(self, line: str) -> None:
        """Queues a line as it is."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Writes what is left. A stream that takes nothing is given up after a moment."""
        if self._thread.is_alive():
            with suppress(queue.Full):
                self._lines.put(None, timeout=1)
            self._thread.join(timeout=2)
        if not self._thread.is_alive():
            self._let_go()
        super().close()

    def _let_go(self) -> None:
        """Drops what a stream could not take: Python would try again at its exit, and make exit code 120 of it."""
        try:
            self._stream.flush()
        except OSError:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())
            self._stream.flush()
        except ValueError:
            pass  # it is closed

    def _run(self) -> None:
        ended = False
        while not ended:
            batch = [self._lines.get()]
            with suppress(queue.Empty):
                while len(batch) < _BATCH_LINES:
                    batch.append(self._lines.get_nowait())
            ended = None in batch
            text = "".join(f"{line}\n" for line in batch if line is not None)
            if self._dropped:
                text += f"({self._dropped} lines could not be written in time)\n"
                self._dropped = 0
            with suppress(OSError, ValueError):  # nobody reads any more: that is no reason to end
                self._stream.write(text)
                self._stream.flush()


class Output:
    """What `ftpsvc-server` says on its stream: log events, and lines for scripts and people."""

    def __init__(self, stream: TextIO, form: Literal["plain", "json"], level: str) -> None:
        """Sends the log of the whole daemon to `stream`.

        Args:
            stream: Usually stderr.
            form: How events look.
            level: The least level that is written, one of debug, info, warning, error.
        """
        self._json = form == "json"
        self._writer = Writer(stream)
        self._writer.setFormatter(_Json() if self._json else _Plain())
        self._logger = logging.getLogger("ftpsvc")
        self._logger.addHandler(self._writer)
        self._logger.setLevel(_LEVELS[level])
        self._logger.propagate = False

    def say(self, line: str, name: str, /, **fields: Any) -> None:
        """Writes a line whatever the level: `ftpsvc-server: TEXT`, or the event `name` as JSON."""
        if self._json:
            record = logging.makeLogRecord({"msg": name, "levelname": "INFO", _FIELDS: fields})
            self._writer.put(_Json().format(record))
        else:
            self._writer.put(f"ftpsvc-server: {printable(line)}")

    def complain(self, error: FtpsvcError) -> None:
        """Writes why the server cannot go on, and what to do about it where the error says so."""
        self.say(f"error: {error}", "error", reason=str(error))
        if error.hint:
            self.say(f"hint: {error.hint}", "hint", text=error.hint)

    def close(self) -> None:
        """Writes what is left and gives the log back."""
        self._logger.removeHandler(self._writer)
        self._writer.close()


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, _FIELDS, {})
    return fields


def _when(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _short(key: str, value: Any) -> Any:
    if isinstance(value, bool | int | float):
        return value
    limit = _TRACE_CHARACTERS if key == "traceback" else _VALUE_CHARACTERS
    text = str(value)
    # Cut before it is escaped: a name may be 64 KiB of what becomes six characters each.
    text = printable(text[:limit])
    return text if len(str(value)) <= limit else text + "..."


def _quoted(value: Any) -> str:
    text = str(value)
    if text and not any(char in ' "=\\' for char in text):
        return text
    return json.dumps(text, ensure_ascii=False)
