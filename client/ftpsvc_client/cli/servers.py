"""The command `profile`: saved servers."""

from __future__ import annotations

import click

from ftpsvc.paths import twin_key
from ftpsvc_client.cli import exits
from ftpsvc_client.cli.app import App, Reported
from ftpsvc_client.cli.params import ProfileName, common_options, examples, json_option
from ftpsvc_client.profiles import Directories, Profiles, Target


@click.group()
def profile() -> None:
    """Saves servers under names of your own.

    A name is what --server and FTPSVC_SERVER take as well as a URL; the default profile is used without either.
    """


@profile.command(epilog=examples("ftpsvc profile add lab ftpsvc+tcp://lab.example:9021"))
@click.argument("name")
@click.argument("url")
@click.option("-f", "--force", is_flag=True, help="Replace a profile of that name.")
@common_options
@click.pass_obj
def add(app: App, name: str, url: str, force: bool) -> None:
    """Saves a server. The first one becomes the default."""
    default = Profiles().add(name, url, replace=force)
    Directories().forget(Target(url, name))  # another server's directory means nothing here
    app.out.note(f"saved {name}" + (", which is the default" if default else ""))


@profile.command(name="list")
@json_option
@common_options
@click.pass_obj
def list_(app: App) -> None:
    """Lists the saved servers, the default with a star."""
    profiles = Profiles()
    found, errors = profiles.all()
    default = profiles.default_name()
    for one in found:
        is_default = default is not None and twin_key(one.name) == twin_key(default)
        if app.out.json:
            known = {"user": one.user} if one.user is not None else {}
            app.out.record({"name": one.name, "server": one.server, "default": is_default, **known})
        else:
            user = f"  {one.user}" if one.user is not None else ""
            app.out.line(f"{'*' if is_default else ' '} {one.name}  {one.server}{user}")
    for error in errors:
        app.tell(error)
    if errors:
        raise Reported(exits.code_of(errors[0]))


@profile.command()
@click.argument("name", type=ProfileName())
@common_options
@click.pass_obj
def use(app: App, name: str) -> None:
    """Makes a saved server the default."""
    Profiles().use(name)
    app.out.note(f"{name} is the default")


@profile.command()
@click.argument("name", type=ProfileName())
@common_options
@click.pass_obj
def remove(app: App, name: str) -> None:
    """Forgets a saved server, and the directory remembered for it."""
    Profiles().remove(name)
    Directories().forget(Target("", name))
