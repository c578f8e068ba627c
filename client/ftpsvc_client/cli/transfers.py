"""The commands that move content: put, get, verify."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from ftpsvc.digests import Bytes
from ftpsvc.exceptions import AlreadyExists, IsADirectory, NotFound, ReadFailed
from ftpsvc_client.cli import globs
from ftpsvc_client.cli.app import App, Hints, NobodyReads
from ftpsvc_client.cli.begun import Begun
from ftpsvc_client.cli.params import (
    LocalPath,
    RemotePath,
    as_unicode,
    common_options,
    connections_option,
    examples,
    json_option,
    links_option,
    whole_option,
)
from ftpsvc_client.cli.shown import file_moved, skipped, tree_moved
from ftpsvc_client.cli.targets import Given, is_into, join, name_of_local, name_of_remote, on_disk, on_server

if TYPE_CHECKING:
    from ftpsvc_client.client import Client

_STREAM = "-"
_RECURSIVE = "-r takes a directory with all that is in it"
_PUT_HINTS: Hints = {IsADirectory: _RECURSIVE}
_GET_HINTS: Hints = {
    IsADirectory: _RECURSIVE,
    AlreadyExists: "the local file has another content; --force replaces it",
}


@click.command(
    epilog=examples(
        "ftpsvc put essay.txt",
        "ftpsvc put essay.txt --to inbox/alice.txt",
        "ftpsvc put -r photos '*.pdf' --to archive/",
    )
)
@click.argument("sources", nargs=-1, required=True, type=LocalPath(), metavar="LOCAL...")
@click.option("--to", "target", type=RemotePath(), metavar="REMOTE", help="The new name, or a directory.")
@click.option("-r", "--recursive", is_flag=True, help="Also directories, with all that is in them.")
@click.option("--no-clobber", is_flag=True, help="Refuse to replace a file.")
@click.option("--no-resume", is_flag=True, help="Begin anew, and do not go by size and time.")
@whole_option
@links_option
@connections_option
@json_option
@common_options
@click.pass_obj
def put(
    app: App,
    sources: tuple[str, ...],
    target: str | None,
    recursive: bool,
    no_clobber: bool,
    no_resume: bool,
    whole: bool,
    links: str,
    connections: int,
) -> None:
    """Stores files on the server.

    A file appears under its name whole and with the right digest, or not at all; one that is there is replaced.
    Of a large one that is there already, only the blocks that differ are sent. --to names a directory if it ends in /
    or is one, otherwise it is the new name. LOCAL may be a pattern, or - for what comes in on stdin. With -r, files
    that are there already with the same size and time are not sent again, unless --no-resume is given.
    """
    app.hints = _PUT_HINTS
    paths = globs.local(sources, unexpanded=app.expands)
    client = app.client()
    begun: Begun | None = None
    if recursive and target and not target.endswith("/") and len(paths) == 1 and os.path.isdir(paths[0]):
        begun = Begun(
            app, "put", os.path.abspath(paths[0]), join(client.directory or "", target), name=target
        )
    if begun is not None and begun.is_noted():
        goes_to: Callable[[str], str] = begun.becomes
    else:
        goes_to = on_server(client, target, several=len(paths) > 1)
    given = Given()
    with app.watch(verb="stored", names=len(paths)) as watch:

        def store(path: str) -> None:
            if path == _STREAM:
                if app.in_shell:
                    raise click.UsageError("stdin is where the shell's commands come from, and no file")
                if target is None:
                    raise click.UsageError("stdin has no name: --to says what the file is to be called")
                if sys.stdin is None:  # closed by whoever started us
                    raise ReadFailed("stdin", "it is closed")
                store_file(sys.stdin.buffer, "stdin", target)
                return
            where = goes_to(as_unicode(name_of_local(path)))
            with given.giving(where, path):
                store_named(path, where)

        def store_named(path: str, where: str) -> None:
            if not os.path.isdir(path):
                store_file(path, path, where)
                return
            if not recursive:
                raise IsADirectory(path)
            with begun.noted() if begun is not None and where == begun.name else nullcontext():
                report = client.put_tree(
                    path, where, clobber=not no_clobber, resume=not no_resume,
                    links="copy" if links == "copy" else "skip", delta=not whole, connections=connections,
                    progress=watch.of_upload_tree(),
                )  # fmt: skip
                watch.close()
                tree_moved(app, report, path, where, fetching=False, connections=connections)

        def store_file(source: str | BinaryIO, name: str, where: str) -> None:
            try:
                stored = client.put(
                    source,
                    where,
                    clobber=not no_clobber,
                    resume=not no_resume,
                    delta=not whole,
                    progress=watch,
                )
            except NotFound as error:
                if error.path != name:
                    error.hint = "the directory has to be there; `ftpsvc mkdir -p` makes it"
                raise
            file_moved(app, stored, name, stored.remote, fetching=False)

        app.each(paths, store)


@click.command(
    epilog=examples(
        "ftpsvc get report.pdf",
        "ftpsvc get report.pdf --to copy.pdf",
        "ftpsvc get -r photos 'notes/*.txt' --to backup/",
    )
)
@click.argument("sources", nargs=-1, required=True, type=RemotePath(), metavar="REMOTE...")
@click.option("--to", "target", type=LocalPath(), metavar="LOCAL", help="The new name, or a directory.")
@click.option("-r", "--recursive", is_flag=True, help="Also directories, with all that is in them.")
@click.option("-f", "--force", is_flag=True, help="Replace local files that have another content.")
@click.option("--no-resume", is_flag=True, help="Begin anew, and do not go by size and time.")
@connections_option
@json_option
@common_options
@click.pass_obj
def get(
    app: App,
    sources: tuple[str, ...],
    target: str | None,
    recursive: bool,
    force: bool,
    no_resume: bool,
    connections: int,
) -> None:
    """Fetches files from the server.

    A file appears under its name whole and with the right digest, or not at all. One that is here already is left
    alone: with the same content that is success, with another an error, unless --force is given. --to names a
    directory if it ends in / or is one, otherwise it is the new name; with - the content goes to stdout.
    REMOTE may be a pattern. With -r, files that are here already with the same size and time count as the same, unless
    --no-resume is given.
    """
    app.hints = _GET_HINTS
    client = app.client()
    found = globs.remote(client, sources, lambda entry: skipped(app.out, entry))
    with app.watch(verb="fetched", names=len(found)) as watch:
        if target == _STREAM:
            app.hints = {IsADirectory: "to stdout go files only; --to says where a directory goes"}
            stream = cast(BinaryIO, _Stdout())
            app.each(found, lambda source: client.get(source.path, stream, progress=watch))
            return
        local = target and globs.home(target, unexpanded=app.expands)
        begun: Begun | None = None
        if recursive and local and not is_into(local) and len(found) == 1:
            source = join(client.directory or "", found[0].path)
            begun = Begun(app, "get", source, os.path.abspath(local), name=local)
        if begun is not None and begun.is_noted():
            goes_to: Callable[[str], str] = begun.becomes
        else:
            goes_to = on_disk(local, several=len(found) > 1)
        given = Given(locally=True)

        def fetch(source: globs.Found) -> None:
            where = goes_to(_name_here(source.path))
            # Without --force other content is refused anyway, and the same is there already.
            with given.giving(where, source.path) if force else nullcontext():
                fetch_as(source, where)

        def fetch_as(source: globs.Found, where: str) -> None:
            if recursive and _is_directory(client, source):
                with begun.noted() if begun is not None and where == begun.name else nullcontext():
                    report = client.get_tree(
                        source.path, where, overwrite=force, resume=not no_resume, connections=connections,
                        progress=watch,
                    )  # fmt: skip
                    watch.close()
                    tree_moved(app, report, source.path, where, fetching=True, connections=connections)
                return
            if os.path.isdir(where):  # never into it: that would be a name that nobody asked for
                raise IsADirectory(source.path if client.stat(source.path).kind == "dir" else where)
            fetched = client.get(source.path, where, overwrite=force, resume=not no_resume, progress=watch)
            file_moved(app, fetched, source.path, where, fetching=True)

        app.each(found, fetch)


@click.command(epilog=examples("ftpsvc verify report.pdf", "ftpsvc verify -r ."))
@click.argument("paths", nargs=-1, required=True, type=RemotePath(), metavar="REMOTE...")
@click.option("-r", "--recursive", is_flag=True, help="Also directories: all files in them.")
@json_option
@common_options
@click.pass_obj
def verify(app: App, paths: tuple[str, ...], recursive: bool) -> None:
    """Has the server read files again and compare them with the digests recorded when they were stored.

    "ok" is a file that still is what was stored. "new" is one that had no record, because it was put there or changed
    by hand: it has one from now on. REMOTE may be a pattern.
    """
    app.hints = {IsADirectory: "-r verifies all files in it"}
    client = app.client()
    names: list[str] = []
    for source in globs.remote(client, paths, lambda entry: skipped(app.out, entry)):
        if not (recursive and _is_directory(client, source)):
            names.append(source.path)
            continue
        for entry in client.iter_list(source.path, recursive=True):
            if entry.note is not None:
                skipped(app.out, entry)
            elif entry.kind == "file":
                names.append(join(source.path, entry.path))

    def check(path: str) -> None:
        found = client.verify(path, app.algorithm)
        if app.out.json:
            app.out.record({"path": found.path, "algorithm": found.algorithm, "digest": found.digest,
                            "size": found.size, "recorded": found.recorded})  # fmt: skip
        else:
            state = "ok " if found.recorded else "new"
            app.out.result(f"{state}  {found.algorithm} {found.digest}  {found.path}")

    app.each(names, check)


class _Stdout:
    """The binary stdout, as a target that ends the command when nobody reads it any more."""

    def write(self, data: Bytes) -> int:
        if sys.stdout is None:  # closed by whoever started us
            raise NobodyReads
        try:
            return sys.stdout.buffer.write(data)
        except BrokenPipeError:
            # Not an OSError: for the client that would be a disk's failure, which has another exit code.
            raise NobodyReads from None


def _is_directory(client: Client, source: globs.Found) -> bool:
    if source.entry is not None:
        return source.entry.kind == "dir"
    return client.is_directory(source.path)


def _name_here(path: str) -> str:
    """Returns the name that a remote path gets here; empty for a root and the like.

    Raises:
        InvalidPath: This system cannot hold it.
    """
    from ftpsvc_client.download import local_name

    name = name_of_remote(path)
    return local_name(name) if name else ""
