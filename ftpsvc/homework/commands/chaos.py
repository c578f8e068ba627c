"""The command `ftpsvc-grade chaos` (docs/kit.md, "The chaos proxy")."""

from __future__ import annotations

import click

from ftpsvc.addresses import TCP, Address
from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.commands.place import say, stopped_by_signals
from ftpsvc.homework.kit.chaos import WAYS, Chaos, ChaosProxy, Way

_COUNT = click.IntRange(min=0)


@click.command("chaos")
@click.option(
    "--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="Where clients connect to. Port 0: any."
)
@click.option("--to", required=True, metavar="HOST:PORT", help="The server behind it.")
@click.option("--dribble", is_flag=True, help="Send every byte by itself.")
@click.option("--coalesce", is_flag=True, help="Hold bytes back and send them as one piece.")
@click.option(
    "--delay", type=click.FloatRange(0, 3600), default=0.0, metavar="SECONDS", help="Hold each piece so long."
)
@click.option("--corrupt", type=_COUNT, metavar="N", help="Flip a bit of byte number N, counted from 0.")
@click.option("--stall", type=_COUNT, metavar="N", help="After N bytes pass no more, and stay open.")
@click.option("--cut-after", "cut", type=_COUNT, metavar="N", help="After N bytes reset the connection.")
@click.option(
    "--way",
    type=click.Choice(WAYS),
    help="Do it only to what clients send (up), or to what the server sends (down). [default: both]",
)
def chaos(
    *,
    listen: str,
    to: str,
    dribble: bool,
    coalesce: bool,
    delay: float,
    corrupt: int | None,
    stall: int | None,
    cut: int | None,
    way: Way | None,
) -> None:
    """Stand between a client and a server, and be a bad network: until SIGTERM or Ctrl-C.

    Counts begin anew with each connection, and are of each direction by itself. Works for every protocol over TCP.
    """
    if dribble and coalesce:
        raise click.UsageError("--dribble and --coalesce exclude each other")
    done = Chaos(
        ways=(way,) if way else WAYS,
        dribble=dribble,
        coalesce=coalesce,
        delay=delay,
        corrupt=corrupt,
        stall=stall,
        cut=cut,
    )
    at, server = _address(listen, listening=True), _address(to, listening=False)
    with stopped_by_signals() as stop:
        try:
            proxy = ChaosProxy(server, done, listen=at, told=say)
        except OSError as error:
            raise ConfigError(f"cannot listen on {listen}: {error.strerror or error}") from error
        with proxy:
            say("listening on {}:{}".format(*proxy.address))
            stop.wait()
    say("stopped")


def _address(text: str, *, listening: bool) -> tuple[str, int]:
    parsed = Address.parse(text if "://" in text else f"{TCP}://{text}", listening=listening)
    if parsed.scheme != TCP:
        raise ConfigError(
            f"{text} is no HOST:PORT", hint="the proxy copies bytes of TCP, and does no TLS itself"
        )
    return parsed.host, parsed.port
