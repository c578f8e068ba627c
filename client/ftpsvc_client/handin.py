"""What is to be handed in: local files under the paths that they will have, each with its size and SHA-256."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from ftpsvc.exceptions import (
    AlreadyExists,
    Changed,
    ConfigError,
    DigestMismatch,
    FtpsvcError,
    HandInRefused,
    InvalidPath,
    NotFound,
    PermissionDenied,
    ReadFailed,
)
from ftpsvc.receipts.tree import File, checked_path, in_order

if TYPE_CHECKING:
    from ftpsvc_client.conversation import Conversation
    from ftpsvc_client.watching import Progress

ALGORITHM: Final = "sha256"
"""Of everything that is handed in: what a receipt says can be checked with standard tools."""

LEFT_OUT: Final = frozenset(
    {".ftpsvc", ".git", ".hg", ".svn", "__pycache__", ".venv", "node_modules", ".DS_Store", "Thumbs.db"}
)
"""Names that are no work: left out of directories, wherever they are in them. A file that is named itself is taken."""


_FAULTS: Final = 20
"""Names that cannot be sent that are told one by one."""


class Work(NamedTuple):
    """What is to be handed in.

    Attributes:
        files: In the order of the tree digest.
        local: Where each lies, by its path.
        skipped: Local paths of what is neither a file nor a directory, and so no part of it.
    """

    files: list[File]
    local: Mapping[str, str]
    skipped: list[str]


def collect(sources: Iterable[str | os.PathLike[str]]) -> Work:
    """Finds files and computes their digests.

    Args:
        sources: One directory: all that is in it. Else files and directories, each under the path that it was given
            by, relative to the working directory; one that lies elsewhere under its own name.

    Raises:
        ConfigError: There is nothing to hand in.
        AlreadyExists: Two of them would have the same path.
        HandInRefused: Names cannot be sent: all of them are told.
        ReadFailed: A file cannot be read. FtpsvcError: the disk refuses something else.
    """
    names = [os.fspath(source) for source in sources]
    local: dict[str, str] = {}
    skipped: list[str] = []
    faults: list[str] = []
    for name in names:
        if os.path.isdir(name):
            prefix = "" if len(names) == 1 else _name_of(name)
            _add_directory(local, skipped, faults, name, prefix)
        else:
            _add(local, faults, _name_of(name), name)
    if faults:
        more = [f"and {len(faults) - _FAULTS} more"] if len(faults) > _FAULTS else []
        error = HandInRefused("; ".join(faults[:_FAULTS] + more))
        error.hint = "rename them, or name the files to hand in"
        raise error
    if not local:
        raise ConfigError("there is nothing to hand in", hint="name files, or a directory with files in it")
    return Work(in_order(measured(path, where) for path, where in local.items()), local, skipped)


def _name_of(path: str) -> str:
    """Returns the path that a source has in the hand-in."""
    relative = os.path.normpath(path)
    if os.path.isabs(relative) or relative.split(os.sep)[0] in (os.pardir, os.curdir):
        relative = os.path.basename(os.path.abspath(path))
    return relative.replace(os.sep, "/")


def _add_directory(
    local: dict[str, str], skipped: list[str], faults: list[str], top: str, prefix: str
) -> None:
    from ftpsvc_client.local_tree import walk
    from ftpsvc_client.results import TreeReport

    report = TreeReport()
    for folder in walk(top, report, ignored=lambda path, _: path.rpartition("/")[2] in LEFT_OUT):
        for file in folder.files:
            parts = (*filter(None, (prefix,)), *folder.names, file.name)
            _add(local, faults, "/".join(parts), file.path)
    for problem in report.problems:
        if not isinstance(problem.error, InvalidPath):
            raise problem.error
        faults.append(str(problem.error))
    skipped += [problem.path for problem in report.skipped]


def _add(local: dict[str, str], faults: list[str], name: str, where: str) -> None:
    try:
        path = checked_path(name)
    except InvalidPath as error:
        faults.append(str(error))
        return
    if path in local:
        raise AlreadyExists(where)
    local[path] = where


def measured(path: str, where: str) -> File:
    """Returns a local file as part of a hand-in.

    Raises:
        ReadFailed: It cannot be read. FtpsvcError: it is no regular file, or cannot be opened.
    """
    from ftpsvc_client.content import FileSource

    with FileSource(where) as source:
        try:
            return File(path, source.size, source.digest(ALGORITHM))
        except OSError as error:
            raise ReadFailed(where, error.strerror or str(error)) from None


def send(
    client: Conversation, assignment: str, work: Work, paths: Iterable[str], folder: str, watcher: Progress
) -> None:
    """Sends files of a hand-in, pipelined; all of them are stored when it returns.

    Args:
        client: The conversation, not in use.
        assignment: Its id.
        work: What is handed in.
        paths: What of it is sent.
        folder: Where to, on the server.
        watcher: Is told how it goes on.

    Raises:
        Changed: A file is not what was listed.
        HandInRefused: Another hand-in has taken the place of this one.
        FtpsvcError: A file cannot be read, the server refuses one, or the connection is lost for good. What was stored
            by then is held.
    """
    from ftpsvc_client.upload_tree import TreeUpload

    tries = client._tries()
    with client._turn() as link:
        upload = TreeUpload(
            link, ALGORITHM, clobber=True, resume=True, watcher=watcher, moved=tries.progress,
            mend=lambda error: client._mended(tries, error), wait=tries.wait,
        )  # fmt: skip
        for path in paths:
            upload.add_file(work.local[path], f"{folder}/{path}", update=False)
            if upload.report.problems:
                break  # it will not become a version: what is left need not go over the wire
        upload.settle()
    for problem in upload.report.problems:
        raise _why(assignment, work, problem.path, problem.error)


def _why(assignment: str, work: Work, local: str, error: FtpsvcError) -> FtpsvcError:
    """Returns why a file could not be sent: it is another one by now, or the server expects other ones."""
    listed = [file for file in work.files if work.local[file.path] == local]
    try:
        same = measured(listed[0].path, local) in listed
    except FtpsvcError:
        return Changed(local)
    if not same:
        return Changed(local)
    return overtaken(assignment) if isinstance(error, PermissionDenied | NotFound | DigestMismatch) else error


def overtaken(assignment: str) -> HandInRefused:
    """Returns the error for a hand-in that another one of the same user took the place of."""
    error = HandInRefused(
        f"another hand-in for {assignment} was begun or finished under this name meanwhile: this one is over"
    )
    error.hint = "ftpsvc assignments shows what was handed in; hand in again if it is not what you meant"
    return error
