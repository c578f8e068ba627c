"""The commands `ftpsvc-server receipts ...` (docs/receipts.md section 6).

Data goes to stdout, everything else to stderr. Exit codes: 0 all is right; 2 a fault in what was asked; 6 something
was removed, changed, moved or dated back.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ftpsvc.accounts.console import Group, Place, place_options, print_json, say, set_place
from ftpsvc.exceptions import BadReceipt, ConfigError
from ftpsvc.homework import journal
from ftpsvc.receipts.chain import Head
from ftpsvc.receipts.receipt import Receipt, Refusal, digest
from ftpsvc.receipts.sshsig import read_signers
from ftpsvc.server.exits import Exit
from ftpsvc.text import count, printable


class _Head(click.ParamType[Head]):
    """A head as `receipts head` prints it."""

    name = "head"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Head:
        """Returns it."""
        try:
            return value if isinstance(value, Head) else Head.parse(value)
        except ConfigError as error:
            self.fail(str(error), param, ctx)


@click.group("receipts", cls=Group)
@place_options
@click.pass_context
def receipts(ctx: click.Context, /, root: Path | None, database: str | None) -> None:
    """Show and check the chain of receipts for what was handed in."""
    set_place(ctx, root, database)


@receipts.command("head")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def head(ctx: click.Context, /, as_json: bool) -> None:
    """Print number and digest of the newest receipt.

    Published, on the course's page or by mail, it binds the server to all receipts until now.
    """
    newest = Head(0, "0" * 64)
    place: Place = ctx.obj
    try:
        for link in journal.read(place.root):
            newest = Head(Receipt.decode(link.paper).seq, digest(link.paper))
    except BadReceipt as error:
        raise ConfigError(f"the chain is damaged: {error}", hint="ftpsvc-server receipts audit") from None
    if as_json:
        print_json({"seq": newest.seq, "digest": newest.digest})
    else:
        click.echo(str(newest))


@receipts.command("key")
@click.pass_context
def key(ctx: click.Context, /) -> None:
    """Print the line of allowed_signers by which anybody trusts this server's receipts."""
    place: Place = ctx.obj
    click.echo(journal.public_key(place.root).allowed_signers([Receipt.NAMESPACE, Refusal.NAMESPACE]))


@receipts.command("audit")
@click.option(
    "--head", "heads", type=_Head(), multiple=True, help="A head that was published: is it in the chain?"
)
@click.option(
    "--digests", is_flag=True, help="Read every file that was handed in, and compare it with its receipt."
)
@click.option(
    "--signers",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Keys that may have signed; else the server's own.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
@click.argument(
    "kept", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="[RECEIPT]..."
)
@click.pass_context
def audit(
    ctx: click.Context, /, heads: tuple[Head, ...], digests: bool, signers: Path | None, as_json: bool,
    kept: tuple[Path, ...],
) -> None:  # fmt: skip
    """Check all receipts: signatures, chain, and that each version is as its receipt says.

    RECEIPT is one that somebody kept, with its .sig beside it: it must be in the chain as well.
    """
    from ftpsvc.homework.checking import Examination

    place: Place = ctx.obj
    # What is no text has no key in it, which is told as such.
    keys = (
        read_signers(signers.read_text("utf-8", "replace")) if signers else [journal.public_key(place.root)]
    )
    examination = Examination(place.root, keys, digests=digests)
    found = list(examination.faults())
    found += [fault for one in heads if (fault := examination.missing_head(one)) is not None]
    for path in kept:
        signature = path.with_name(path.name + ".sig")
        text = signature.read_text("utf-8", "replace") if signature.exists() else ""
        fault = examination.missing_receipt(path.read_bytes(), text)
        if fault is not None:
            found.append(f"{path}: {fault}")
    if as_json:
        for fault in found:
            print_json({"fault": fault})
        print_json({"receipts": examination.receipts, "head": str(examination.head), "faults": len(found)})
    else:
        for fault in found:
            click.echo(printable(fault))
        say(
            f"{count(examination.receipts, 'receipt')}, {count(len(found), 'fault')}, head {examination.head}"
        )
    if found:
        sys.exit(Exit.DAMAGED)
