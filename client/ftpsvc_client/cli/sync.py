"""The command `sync`: one directory made like another, in either direction."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from ftpsvc.exceptions import ConfigError, NotADirectory
from ftpsvc_client.cli import globs
from ftpsvc_client.cli.app import App
from ftpsvc_client.cli.params import (
    LocalPath,
    SyncSide,
    as_unicode,
    common_options,
    connections_option,
    examples,
    json_option,
    links_option,
    whole_option,
)
from ftpsvc_client.cli.shown import synced

if TYPE_CHECKING:
    from ftpsvc_client.results import Action


@click.command(
    epilog=examples(
        "ftpsvc sync photos :photos",
        "ftpsvc sync --delete --dry-run photos :backup/photos",
        "ftpsvc sync lab:notes notes --exclude '*.tmp'",
    )
)
@click.argument("source", type=SyncSide(), metavar="SOURCE")
@click.argument("target", type=SyncSide(), metavar="TARGET")
@click.option("-c", "--checksum", is_flag=True, help="Compare by digest, not by size and time.")
@click.option("--delete", is_flag=True, help="Remove from TARGET what SOURCE does not have.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--exclude", multiple=True, metavar="PATTERN", help="Leave out what matches, as in a .gitignore file."
)
@click.option("--filter-from", type=LocalPath(), metavar="FILE", help="Patterns from a file, one a line.")
@whole_option
@links_option
@connections_option
@json_option
@common_options
@click.pass_obj
def sync(
    app: App,
    source: str,
    target: str,
    checksum: bool,
    delete: bool,
    dry_run: bool,
    exclude: tuple[str, ...],
    filter_from: str | None,
    whole: bool,
    links: str,
    connections: int,
) -> None:
    """Makes the directory TARGET like the directory SOURCE, of which one is on the server.

    That one is written with a colon: :PATH on the server of --server and so on, PROFILE:PATH on a saved one. A local
    name with a colon in it is written ./NAME. Only what differs by size or time is transferred. What is in SOURCE goes
    into TARGET itself, which is made if it is missing.
    """
    sides = [_side(source), _side(target)]
    (from_server, _), (to_server, _) = sides
    if (from_server is None) == (to_server is None):
        where = "one of the two has to be" if from_server is None else "only one of the two can be"
        raise click.UsageError(f"{where} on the server, which is written :PATH or PROFILE:PATH")
    up = to_server is not None
    profile, remote = sides[up]
    local = globs.home(source if up else target, unexpanded=app.expands)
    if profile:
        _choose_server(app, profile)
    patterns = [*_patterns(app, filter_from), *map(as_unicode, exclude)]
    client = app.client()
    app.hints = {NotADirectory: "sync is for directories; `ftpsvc put` and `ftpsvc get` take files"}

    def told(action: Action) -> None:
        if dry_run or app.out.json:
            if app.out.json:
                app.out.record({"type": "action", **action._asdict(), "dry_run": dry_run})
            else:
                app.out.line(f"{action.what:<6}  {action.path or '.'}")
        else:
            app.out.detail(f"{action.what} {action.path or '.'}")

    with app.watch(verb="stored" if up else "fetched", names=1) as watch:
        report = client.sync(
            local, remote or ".", direction="up" if up else "down", checksum=checksum, delete=delete,
            dry_run=dry_run, exclude=patterns, links="copy" if links == "copy" else "skip", delta=not whole,
            connections=connections, progress=None if dry_run else watch.of_upload_tree() if up else watch, told=told,
        )  # fmt: skip
        watch.close()
    synced(app, report, source, target, up=up, dry_run=dry_run, connections=connections)


def _side(text: str) -> tuple[str | None, str]:
    """Returns the profile and path that an argument means: None is on this side, an empty profile the usual server.

    Raises:
        ConfigError: It is a URL.
    """
    head, colon, path = text.partition(":")
    if not colon or "/" in head or os.sep in head or (os.name == "nt" and len(head) == 1):
        return None, text
    if path.startswith("//"):
        raise ConfigError(
            f"{text}: a URL has no place for a path", hint="--server URL, and :PATH for the directory there"
        )
    return head, as_unicode(path)


def _choose_server(app: App, profile: str) -> None:
    from ftpsvc_client.profiles import Profiles

    named = Profiles().get(profile).name
    if app.in_shell:
        if app.target.profile != named:
            raise click.UsageError("the shell stays with its server, which is written :PATH")
    elif app.server is not None and app.server != named:
        raise click.UsageError(f"--server and {profile}: are two servers")
    else:
        app.server = named


def _patterns(app: App, path: str | None) -> list[str]:
    if path is None:
        return []
    from ftpsvc_client.filters import read_patterns

    return read_patterns(globs.home(path, unexpanded=app.expands))
