"""The command `ls`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from ftpsvc_client.cli import globs
from ftpsvc_client.cli.app import App
from ftpsvc_client.cli.output import in_columns
from ftpsvc_client.cli.params import RemotePath, common_options, examples, json_option
from ftpsvc_client.cli.shown import entry_record, long_line, marked, skipped
from ftpsvc_client.cli.targets import join, name_of_remote

if TYPE_CHECKING:
    from ftpsvc_client.client import Client
    from ftpsvc_client.results import RemoteEntry

_AT_ONCE = 1000
"""Names that are laid out in columns together: a directory of any size costs the memory of so many."""


@click.command(epilog=examples("ftpsvc ls", "ftpsvc ls -l reports", "ftpsvc ls -R --digests '*.pdf'"))
@click.argument("paths", nargs=-1, type=RemotePath(), metavar="[PATH]...")
@click.option("-l", "--long", is_flag=True, help="Also kind, mode, size and time.")
@click.option("-h", "--human", is_flag=True, help="With -l: sizes in KiB, MiB, GiB.")
@click.option("-R", "--recursive", is_flag=True, help="All that is beneath, too.")
@click.option(
    "--digests", is_flag=True, help="Also digests; the server computes those that it does not have."
)
@click.option("-1", "one", is_flag=True, help="One name a line, as where stdout is no terminal.")
@json_option
@common_options
@click.pass_obj
def ls(
    app: App, paths: tuple[str, ...], long: bool, human: bool, recursive: bool, digests: bool, one: bool
) -> None:
    """Lists directories and files.

    A directory is shown with / behind its name, a link with @. PATH may be a pattern: what it matches is listed by
    name, and only -R looks into it.
    """
    client = app.client()
    listing = _Listing(
        app,
        long=long,
        human=human,
        digests=digests,
        side_by_side=not (long or digests or one or app.out.json),
    )
    found = globs.remote(client, paths or (".",), lambda entry: skipped(app.out, entry))

    def list_one(source: globs.Found) -> None:
        path, entry = source
        if _holds_more(client, source, recursive=recursive):
            if len(found) > 1 and not app.out.json:
                listing.head(path)
            entries = client.iter_list(path, recursive=recursive, digests=digests, algorithm=app.algorithm)
            listing.show(entries, "" if path == "." else path)
        else:
            if entry is None or (digests and entry.kind == "file"):
                # A file, listed: that brings its digest.
                entries = client.iter_list(path, digests=digests, algorithm=app.algorithm)
            else:
                entries = iter([entry])
            listing.show((one._replace(path=path) for one in entries), None)

    app.each(found, list_one)
    listing.finish()


def _holds_more(client: Client, source: globs.Found, *, recursive: bool) -> bool:
    """Returns whether what is in it is to be listed: a directory that was named, or with -R matched by a pattern."""
    if not name_of_remote(source.path):
        return True  # `/`, `..` and the like are directories: nothing has to be asked about them
    if source.entry is None:
        return client.is_directory(source.path)
    return recursive and source.entry.kind == "dir"


class _Listing:
    """Prints entries as they come."""

    def __init__(self, app: App, *, long: bool, human: bool, digests: bool, side_by_side: bool) -> None:
        self._app = app
        self._long = long
        self._human = human
        self._digests = digests
        self._columns = _terminal_columns() if side_by_side else 0
        self._names: list[str] = []
        self._below_head = False

    def head(self, path: str) -> None:
        """Prints whose names follow."""
        self.finish()
        self._app.out.line(f"{path}:")
        self._below_head = True

    def show(self, entries: Iterable[RemoteEntry], base: str | None) -> None:
        """Prints entries of the directory `base`, or such that are named by their whole path (None)."""
        out = self._app.out
        for entry in entries:
            if out.json:
                out.record(entry_record(entry, join(base or "", entry.path)))
                continue
            if base is None and self._below_head:
                out.line("")  # it is not in that directory
                self._below_head = False
            name = marked(entry.path, entry.kind)
            if entry.note is not None:
                name += f"  ({entry.note})"
            if self._columns:
                self._names.append(name)
                if len(self._names) == _AT_ONCE:
                    self.finish()
                continue
            if self._digests:
                name = f"{_digest(entry)}  {name}"
            out.line(long_line(entry, name, human=self._human) if self._long else name)
        if base is not None:
            self.finish()

    def finish(self) -> None:
        """Prints the names that wait to be laid out."""
        for line in in_columns(self._names, self._columns):
            self._app.out.line(line)
        self._names.clear()


def _digest(entry: RemoteEntry) -> str:
    return f"{entry.algorithm} {entry.digest}" if entry.digest is not None else "-"


def _terminal_columns() -> int:
    """Returns the width of the terminal that stdout is, or 0 where it is none."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 0
    except (OSError, ValueError, AttributeError):
        return 0
