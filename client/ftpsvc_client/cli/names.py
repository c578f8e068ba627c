"""The commands about names: cd, pwd, mkdir, rm, mv, stat, df."""

from __future__ import annotations

import click

from ftpsvc.exceptions import AlreadyExists, DirectoryNotEmpty
from ftpsvc.text import count, format_size
from ftpsvc_client.cli import globs
from ftpsvc_client.cli.app import App, Hints, unsure
from ftpsvc_client.cli.params import RemotePath, common_options, examples, json_option
from ftpsvc_client.cli.shown import entry_record, moment, skipped
from ftpsvc_client.cli.targets import Given, name_of_remote, on_server
from ftpsvc_client.profiles import Directories

_MKDIR_HINTS: Hints = {AlreadyExists: "with -p it is no error that the directory is there"}
_RM_HINTS: Hints = {DirectoryNotEmpty: "-r removes it with all that is in it"}


@click.command(epilog=examples("ftpsvc cd projects/2026", "ftpsvc cd .."))
@click.argument("path", type=RemotePath(), default="/", metavar="[PATH]")
@json_option
@common_options
@click.pass_obj
def cd(app: App, path: str) -> None:
    """Changes the directory on the server, and remembers it for this server.

    Other commands start there from then on. Without PATH it is the root. At the prompt of `ftpsvc shell` it
    changes the shell's directory only.
    """
    if app.in_shell:
        directory = app.client().cd(path)
    else:
        # An absolute path does not need the directory of before, which may be gone by now.
        client = app.connect(None) if path.startswith("/") else app.client()
        directory = client.cd(path)
        Directories().set(app.target, directory)
    if app.out.json:
        app.out.record({"directory": directory})
    elif not app.in_shell:
        app.out.result(directory)


@click.command()
@json_option
@common_options
@click.pass_obj
def pwd(app: App) -> None:
    """Prints the directory on the server."""
    directory = app.client().pwd()
    if app.out.json:
        app.out.record({"directory": directory})
    else:
        app.out.line(directory)


@click.command(epilog=examples("ftpsvc mkdir -p projects/2026/spring"))
@click.argument("paths", nargs=-1, required=True, type=RemotePath(), metavar="PATH...")
@click.option(
    "-p", "--parents", is_flag=True, help="Also what is missing on the way; there already is no error."
)
@json_option
@common_options
@click.pass_obj
def mkdir(app: App, paths: tuple[str, ...], parents: bool) -> None:
    """Makes directories."""
    client = app.client()
    app.account = unsure
    app.hints = {} if parents else _MKDIR_HINTS

    def make(path: str) -> None:
        created = client.mkdir(path, parents=parents)
        if app.out.json:
            app.out.record({"path": path, "created": created})

    app.each(paths, make)


@click.command(epilog=examples("ftpsvc rm draft.txt", "ftpsvc rm -r 'build-*'"))
@click.argument("paths", nargs=-1, required=True, type=RemotePath(), metavar="PATH...")
@click.option("-r", "--recursive", is_flag=True, help="Also directories, with all that is in them.")
@json_option
@common_options
@click.pass_obj
def rm(app: App, paths: tuple[str, ...], recursive: bool) -> None:
    """Removes files and directories. PATH may be a pattern."""
    client = app.client()
    app.account = unsure
    app.hints = _RM_HINTS

    def remove(source: globs.Found) -> None:
        removed = client.remove(source.path, recursive=recursive)
        if app.out.json:
            app.out.record({"path": source.path, "removed": removed})
        elif app.out.verbose:
            app.out.detail(f"{source.path}: {count(removed, 'name')} removed")

    app.each(globs.remote(client, paths, lambda entry: skipped(app.out, entry)), remove)


@click.command(epilog=examples("ftpsvc mv draft.txt final.txt", "ftpsvc mv '*.pdf' archive/"))
@click.argument("paths", nargs=-1, required=True, type=RemotePath(), metavar="SOURCE... TARGET")
@click.option("--no-clobber", is_flag=True, help="Refuse to replace a file.")
@json_option
@common_options
@click.pass_obj
def mv(app: App, paths: tuple[str, ...], no_clobber: bool) -> None:
    """Gives files and directories another name or place on the server. SOURCE may be a pattern."""
    if len(paths) < 2:
        raise click.UsageError("mv needs a source and a target")
    client = app.client()
    app.account = unsure
    found = globs.remote(client, paths[:-1], lambda entry: skipped(app.out, entry))
    goes_to = on_server(client, paths[-1], several=len(found) > 1)
    given = Given()

    def move(source: globs.Found) -> None:
        where = goes_to(name_of_remote(source.path))
        with given.giving(where, source.path):
            path = client.rename(source.path, where, clobber=not no_clobber)
        if app.out.json:
            app.out.record({"from": source.path, "path": path})

    app.each(found, move)


@click.command(epilog=examples("ftpsvc stat report.pdf"))
@click.argument("paths", nargs=-1, required=True, type=RemotePath(), metavar="PATH...")
@json_option
@common_options
@click.pass_obj
def stat(app: App, paths: tuple[str, ...]) -> None:
    """Shows what is known of files and directories. PATH may be a pattern."""
    client = app.client()

    def show(source: globs.Found) -> None:
        entry = client.stat(source.path)  # also where a listing told: only this has digest and version
        if app.out.json:
            app.out.record(entry_record(entry, entry.path))
            return
        app.out.line(entry.path)
        lines = {
            "kind": entry.kind,
            "size": None if entry.size is None else f"{entry.size:,} bytes ({format_size(entry.size)})",
            "modified": moment(entry.modified).strip() or None,
            "mode": None if entry.mode is None else f"{entry.mode:04o}",
            "digest": None if entry.digest is None else f"{entry.algorithm} {entry.digest}",
            "version": entry.version,
            "note": entry.note,
        }
        for name, value in lines.items():
            if value is not None:
                app.out.line(f"  {name:<9} {value}")

    app.each(globs.remote(client, paths, lambda entry: skipped(app.out, entry)), show)


@click.command()
@click.option("-h", "--human", is_flag=True, help="Sizes in KiB, MiB, GiB.")
@json_option
@common_options
@click.pass_obj
def df(app: App, human: bool) -> None:
    """Shows how much room there is on the server, in bytes."""
    room = app.client().space()
    values = {"limit": room.limit, "used": room.used, "reserved": room.reserved, "free": room.free}
    if app.out.json:
        app.out.record(values)
        return
    words = {
        "limit": "no quota",
        "used": "not counted",
        "reserved": "0",
        "free": "not known",
    }
    for name, value in values.items():
        text = words[name] if value is None else format_size(value) if human else str(value)
        app.out.line(f"{name:<9} {text:>16}")
