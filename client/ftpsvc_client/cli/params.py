"""Arguments and options that commands share, and how each of them is completed."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ftpsvc.digests import ALGORITHMS
from ftpsvc.exceptions import InvalidPath
from ftpsvc_client.cli.app import App

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    _TextType = click.ParamType[str, str]
else:
    _TextType = click.ParamType  # generic since click 8.4 only

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Seconds(click.FloatRange):
    """A time-out."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True, max=86400)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the number; a range alone lets `nan` through, which is neither below nor above anything."""
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number", param, ctx)
        return seconds


class RemotePath(_TextType):
    """A path on the server, or a pattern of such; the rules for names are the server's to enforce."""

    name = "remote"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the path as Unicode: what the locale could not decode is taken for UTF-8."""
        return as_unicode(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """Returns the names on the server that it may become."""
        from ftpsvc_client.cli.completion import remote_names

        return remote_names(ctx.find_object(App), incomplete)


class LocalPath(_TextType):
    """A path on this machine, or a pattern of such."""

    name = "local"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the path as the system gave it."""
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """Returns the local names that it may become, or leaves that to the shell."""
        from ftpsvc_client.cli.completion import local_names

        return local_names(ctx.find_object(App), incomplete)


class SyncSide(_TextType):
    """A local directory, or one on the server, with a colon before its path."""

    name = "directory"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the argument as the system gave it."""
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """Returns the names on that side that it may become."""
        from ftpsvc_client.cli.completion import side_names

        return side_names(ctx.find_object(App), incomplete)


class ProfileName(_TextType):
    """The name of a saved server, or what else names a server."""

    name = "profile"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the name as it is."""
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """Returns the saved servers that it may become."""
        from ftpsvc_client.cli.completion import profile_names

        return profile_names(incomplete)


def as_unicode(text: str) -> str:
    """Returns an argument of the command line as Unicode, the bytes that the locale could not decode as UTF-8.

    Raises:
        InvalidPath: They are not UTF-8 either.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            return text.encode(sys.getfilesystemencoding(), "surrogateescape").decode()
        except UnicodeError:
            raise InvalidPath(text, "it is not valid Unicode") from None
    return text


# ---------------------------------------------------------------- options that every command takes


def _set_server(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    app = ctx.find_object(App)
    if value is not None and app is not None:
        if app.in_shell:
            raise click.UsageError("the shell stays with its server: leave it with `exit`, and start another")
        app.server = value


def _set_app(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    app = ctx.find_object(App)
    if value is not None and app is not None:
        if app.in_shell:
            raise click.UsageError(f"{param.opts[0]} belongs to `ftpsvc shell` itself")
        setattr(app, str(param.name), value)


def _set_output(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    app = ctx.find_object(App)
    if value and app is not None:
        setattr(app.out, str(param.name), value)


def common_options(function: _Function) -> _Function:
    """Adds what each command takes, and `ftpsvc` itself as well."""
    for option in reversed(_COMMON):
        function = option(function)
    return function


def json_option(function: _Function) -> _Function:
    """Adds `--json`, for commands that print data."""
    return _JSON(function)


def connections_option(function: _Function) -> _Function:
    """Adds `-j`, for commands that move trees."""
    return _CONNECTIONS(function)


def links_option(function: _Function) -> _Function:
    """Adds `--links`, for commands that send trees."""
    return _LINKS(function)


def whole_option(function: _Function) -> _Function:
    """Adds `--whole`, for commands that send files."""
    return _WHOLE(function)


_CONNECTIONS = click.option(
    "-j", "--connections", type=click.IntRange(1, 64), default=1, metavar="N",
    help="Use so many connections for a tree (1).",
)  # fmt: skip

_LINKS = click.option(
    "--links", type=click.Choice(["skip", "copy"]), default="skip",
    help="Leave symbolic links out (skip), or send what they lead to (copy).",
)  # fmt: skip

_JSON = click.option(
    "--json", is_flag=True, expose_value=False, callback=_set_output,
    help="Print data as JSON Lines.",
)  # fmt: skip

_COMMON = (
    click.option(
        "-s", "--server", type=ProfileName(), metavar="URL|PROFILE", expose_value=False, callback=_set_server,
        help="The server; else FTPSVC_SERVER, else the default profile.",
    ),
    click.option(
        "--timeout", type=Seconds(), metavar="SECONDS", expose_value=False,
        callback=_set_app, help="Give up after so long without progress (60).",
    ),
    click.option(
        "--retries", type=click.IntRange(0, 1000), metavar="N", expose_value=False, callback=_set_app,
        help="Try again so often in a row after an error that passes (5).",
    ),
    click.option(
        "--algorithm", type=click.Choice(ALGORITHMS), expose_value=False, callback=_set_app,
        help="Digest algorithm; else the server's first.",
    ),
    click.option(
        "--allow-plain", is_flag=True, default=None, expose_value=False, callback=_set_app,
        help="Let a password cross a connection that is not encrypted.",
    ),
    click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, callback=_set_output,
        help="Print only data that was asked for, and errors.",
    ),
    click.option(
        "-v", "--verbose", count=True, expose_value=False, callback=_set_output,
        help="Tell what is going on; -vv also shows tracebacks.",
    ),
)  # fmt: skip


def examples(*lines: str) -> str:
    """Returns what stands at the end of a command's help: lines that may be typed like this."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


_WHOLE = click.option("--whole", is_flag=True, help="Send all of a file, not just what differs.")
