"""The commands of students: submit, assignments, receipt."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from ftpsvc.exceptions import BadReceipt, HandInRefused, NotFound
from ftpsvc.text import count, format_size, padded
from ftpsvc_client.cli import asking, globs
from ftpsvc_client.cli.app import App
from ftpsvc_client.cli.params import LocalPath, common_options, examples, json_option

if TYPE_CHECKING:
    from ftpsvc_client.homework import AssignmentStatus, HandIn, Offer


class NoSuchAssignment(NotFound):
    """The server has no such assignment for this user: no file is what is missing."""

    text = "there is no such assignment"

    def __init__(self, assignment: str) -> None:
        super().__init__(assignment)
        self.hint = "`ftpsvc assignments` shows what there is to hand in"


@click.command(
    epilog=examples(
        "ftpsvc submit hw3", "ftpsvc submit hw3 solution/", "ftpsvc submit hw3 paths.py lib/*.py --late"
    )
)
@click.argument("assignment")
@click.argument("sources", nargs=-1, type=LocalPath(), metavar="[FILE... | DIR]")
@click.option("--late", is_flag=True, help="Hand in also if it is late.")
@json_option
@common_options
@click.pass_obj
def submit(app: App, assignment: str, sources: tuple[str, ...], late: bool) -> None:
    """Hands files in as one version, or not at all.

    Without names all that is in this directory, or in the one named, is handed in; files that the assignment does not
    want are left out, and told. The server refuses with all that is wrong, which costs nothing, or gives a receipt,
    which is checked and kept in .ftpsvc/receipts. What is late needs a yes.
    """
    from ftpsvc_client.homework import lateness_text

    paths = globs.local(sources, unexpanded=app.expands) if sources else ["."]
    client = app.client()
    with app.watch(verb="sent", names=1) as watch:

        def may_be_late(offer: Offer) -> bool:
            if late or not (app.asks and asking.somebody_there()):
                return late
            watch.close()
            return asking.agreed(f"It is late ({lateness_text(offer)}). Hand it in all the same?")

        try:
            done = client.submit(
                assignment, paths, late=may_be_late, offered=lambda offer: _show(app, offer), progress=watch
            )
        except NotFound as error:
            if error.path == assignment and assignment not in paths:
                raise NoSuchAssignment(assignment) from None
            raise
        except HandInRefused as error:
            if error.note is not None:
                app.out.note("nothing was handed in, and it cost nothing")
            raise
        except KeyboardInterrupt:
            app.out.note(
                "ftpsvc assignments shows what is handed in; the same command goes on where this one was"
            )
            raise
    app.account = None
    _confirm(app, done)


def _show(app: App, offer: Offer) -> None:
    """Says when it is due, and what will be sent."""
    from ftpsvc_client.homework import lateness_text, span

    left = int((offer.due - offer.now).total_seconds())
    when = f"{span(left)} left" if left > 0 else f"{span(-left)} ago"
    app.out.note(f"{offer.assignment} is due {local(offer.due)} ({when}); this is version {offer.number}")
    if offer.late:
        app.out.note(f"it is late: {lateness_text(offer)}")
    if offer.held:
        app.out.note(f"{count(len(offer.held), 'file')} arrived before, and need not be sent again")
    app.out.note(
        f"{count(len(offer.wanted), 'file')} to be sent, {format_size(offer.size)}{_names(offer.wanted)}"
    )
    if offer.dropped:
        app.out.note(f"not wanted by the assignment, and left out{_names(offer.dropped)}")
    if offer.skipped:
        app.out.note(f"left out, being links or no regular files{_names(offer.skipped)}")


def _names(paths: tuple[str, ...]) -> str:
    from ftpsvc_client.homework import named

    return f": {named(paths)}" if paths else ""


def _confirm(app: App, done: HandIn) -> None:
    from ftpsvc_client.homework import lateness_text

    if app.out.json:
        app.out.record(
            {
                "assignment": done.assignment, "version": done.number, "path": done.path,
                "received": done.received.isoformat(), "late_seconds": done.late_seconds, "percent": done.percent,
                "late_days_used": done.late_days_used, "files": done.files, "dropped": list(done.dropped),
                "tree_sha256": done.tree_sha256, "receipt": done.kept, "key": done.key,
            }
        )  # fmt: skip
        return
    late = lateness_text(done)
    app.out.result(
        f"handed in {done.assignment} version {done.number}: {count(done.files, 'file')}, "
        f"{local(done.received)}{f', {late}' if late else ''}"
    )
    app.out.result(f"receipt {done.kept}")


@click.command(epilog=examples("ftpsvc assignments", "ftpsvc assignments --json"))
@json_option
@common_options
@click.pass_obj
def assignments(app: App) -> None:
    """Shows what is to be handed in, until when, and how one stands."""
    course = app.client().assignments()
    if app.out.json:
        for one in course.assignments:
            fields = one._asdict() | {key: getattr(one, key).isoformat() for key in ("open", "due", "close")}
            app.out.record(fields)
        return
    rows: list[tuple[str, ...]] = [("id", "due", "left", "versions", "counts", "points", "late", "title")]
    rows += [_row(one, course.now) for one in course.assignments]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if course.assignments:
        for row in rows:
            app.out.line("  ".join(map(padded, row, widths)).rstrip())
    else:
        app.out.note("there is nothing to hand in")
    if course.late_days:
        app.out.note(f"{course.late_days_left} of {count(course.late_days, 'late day')} left")


def _row(one: AssignmentStatus, now: datetime) -> tuple[str, ...]:
    from ftpsvc_client.homework import lateness_text, span

    left, until_close = (int((when - now).total_seconds()) for when in (one.due, one.close))
    state = (
        span(left) if left > 0 else f"late, closes in {span(until_close)}" if until_close > 0 else "closed"
    )
    counts = str(one.counts) if one.counts is not None else "best" if one.versions else "-"
    points = "-" if one.points is None else f"{one.points:g}"
    return (
        one.id, local(one.due), state, str(one.versions), counts,
        f"{points}/{one.max_points:g}", lateness_text(one) or "-", one.title,
    )  # fmt: skip


@click.group()
def receipt() -> None:
    """Shows and checks receipts of hand-ins; no server is asked."""


@receipt.command(epilog=examples("ftpsvc receipt show .ftpsvc/receipts/hw3-0004.json"))
@click.argument("file", type=LocalPath())
@json_option
@common_options
@click.pass_obj
def show(app: App, file: str) -> None:
    """Shows what a receipt says, after its signature was checked."""
    from ftpsvc_client import papers

    checked = papers.check(file)
    said = checked.receipt
    if app.out.json:
        app.out.record(said.model_dump())
        return
    app.out.line(f"{said.course} {said.assignment}, version {said.version} of {said.user}")
    app.out.line(f"received {_moment(said.received)}, begun {_moment(said.begun)}, due {_moment(said.due)}")
    if said.late_seconds:
        app.out.line(f"late by {said.late_seconds:,} s")
    for one in said.files:
        app.out.line(f"{one.sha256}  {one.path}  {format_size(one.size)}")
    for path in said.dropped:
        app.out.line(f"left out: {path}")
    app.out.line(f"tree {said.tree_sha256}")
    app.out.line(f"number {said.seq} of the server's chain, after {said.prev}")
    app.out.line(f"signed by {said.key}")
    _trust(app, checked.signers)


@receipt.command(
    epilog=examples(
        "ftpsvc receipt verify .ftpsvc/receipts/hw3-0004.json .",
        "ftpsvc receipt verify hw3-0004.json --signers course_signers",
    )
)
@click.argument("file", type=LocalPath())
@click.argument("directory", required=False, type=LocalPath(), metavar="[DIR]")
@click.option(
    "--signers", type=LocalPath(), metavar="FILE", help="Keys that count, one ssh-ed25519 line each."
)
@json_option
@common_options
@click.pass_obj
def verify(app: App, file: str, directory: str | None, signers: str | None) -> None:
    """Checks a receipt: its signature, and with DIR that the files there are those that were handed in.

    The keys that count are those of --signers, else of allowed_signers beside the receipt.
    """
    from ftpsvc_client import papers

    checked = papers.check(file, directory, signers)
    said = checked.receipt
    if app.out.json:
        app.out.record(
            {
                "assignment": said.assignment, "version": said.version, "user": said.user, "received": said.received,
                "key": said.key, "signers": checked.signers, "differences": checked.differences,
            }
        )  # fmt: skip
    for difference in checked.differences:
        app.out.error(difference)
    if checked.differences:
        raise BadReceipt(f"the receipt is genuine, but not of what is in {directory}")
    if not app.out.json:
        same = f"; {count(len(said.files), 'file')} in {directory} are those" if directory is not None else ""
        app.out.result(
            f"genuine: {said.user} handed in {said.assignment} version {said.version} at {_moment(said.received)}{same}"
        )
    _trust(app, checked.signers)


def _trust(app: App, signers: str | None) -> None:
    if signers is None:
        app.out.note(
            "the key was compared with nothing: --signers names the file that the teacher handed out"
        )
    else:
        app.out.detail(f"the key is one of {signers}")


def local(when: datetime) -> str:
    """Returns a time in this machine's zone, with the zone's name."""
    try:
        here = when.astimezone()
    except (OverflowError, OSError, ValueError):  # beyond what the system's clock can say
        here = when
    return f"{here:%Y-%m-%d %H:%M} {here.tzname() or ''}".rstrip()


def _moment(text: str) -> str:
    return local(datetime.fromisoformat(text))
