"""Exit codes: the one table. docs/cli.md shows it, and a test compares the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ftpsvc import exceptions


class Meaning(NamedTuple):
    """One exit code: its number, what it says, and the classes of errors that lead to it."""

    code: int
    text: str
    errors: tuple[type[BaseException], ...] = ()


OK = 0
FAILED = 1
USAGE = 2
PARTIAL = 20
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143

TABLE: tuple[Meaning, ...] = (
    Meaning(OK, "everything was done"),
    Meaning(FAILED, "a failure that has no code of its own"),
    Meaning(
        USAGE,
        "the command line, a setting or the server's address makes no sense; nothing was done",
        (exceptions.ConfigError,),
    ),
    Meaning(3, "no such file or directory, or a pattern that matches nothing", (exceptions.NotFound,)),
    Meaning(4, "exists already, and was not to be replaced", (exceptions.AlreadyExists,)),
    Meaning(
        5,
        "a directory where a file is needed, or the other way round; a directory that is not empty; a link or device",
        (
            exceptions.IsADirectory,
            exceptions.NotADirectory,
            exceptions.DirectoryNotEmpty,
            exceptions.NotAFile,
        ),
    ),
    Meaning(6, "not allowed, there or here", (exceptions.PermissionDenied,)),
    Meaning(7, "the log-in was refused, or is needed", (exceptions.AuthenticationFailed,)),
    Meaning(
        8,
        "no connection, a lost one, or something that is no ftpsvc server",
        (exceptions.TransportError, exceptions.RemoteProtocolError),
    ),
    Meaning(9, "the time-out was reached", (exceptions.TransferTimeout,)),
    Meaning(10, "content does not match its digest", (exceptions.DigestMismatch,)),
    Meaning(
        11,
        "no room: quota, disk, or the largest file accepted",
        (exceptions.QuotaExceeded, exceptions.NoSpace, exceptions.TooLarge),
    ),
    Meaning(12, "a name that cannot be one", (exceptions.InvalidPath,)),
    Meaning(
        13,
        "the source changed or failed while it was read",
        (exceptions.Changed, exceptions.ReadFailed, exceptions.BadOffset),
    ),
    Meaning(
        14, "busy or out of service for now: worth trying again", (exceptions.Busy, exceptions.Unavailable)
    ),
    Meaning(
        15,
        "the server's certificate is unknown, has changed, or is not the one that was given; nothing was sent",
        (exceptions.UntrustedServer,),
    ),
    Meaning(16, "the hand-in was refused; it cost nothing", (exceptions.HandInRefused,)),
    Meaning(17, "a receipt is not what it should be, or is not of these files", (exceptions.BadReceipt,)),
    Meaning(PARTIAL, "part of it failed, of several names or in a tree; the rest was done"),
    Meaning(INTERRUPTED, "stopped by Ctrl-C", (KeyboardInterrupt,)),
    Meaning(BROKEN_PIPE, "whoever read the output stopped reading", (BrokenPipeError,)),
    Meaning(TERMINATED, "stopped by SIGTERM"),
)

_BY_CLASS = {error: meaning.code for meaning in TABLE for error in meaning.errors}


def code_of(error: BaseException) -> int:
    """Returns the exit code for an error: that of the nearest of its classes that has one."""
    return code_of_class(type(error))


def code_of_class(cls: type[BaseException]) -> int:
    """Returns the exit code for a class of errors."""
    return next((_BY_CLASS[base] for base in cls.__mro__ if base in _BY_CLASS), FAILED)


def code_of_several(codes: Sequence[int], tried: int | None = None) -> int:
    """Returns the exit code for a command that tried several names: damage is told before anything else.

    Args:
        codes: The codes of those that failed; not empty.
        tried: How many names there were; None for a tree, of which a part is always done.
    """
    damaged = code_of_class(exceptions.DigestMismatch)
    if damaged in codes:
        return damaged
    return codes[0] if len(codes) == tried and len(set(codes)) == 1 else PARTIAL
