"""How results look: as lines for people, and as JSON objects whose shapes docs/cli.md promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftpsvc.text import count, format_size
from ftpsvc_client.cli import exits
from ftpsvc_client.cli.app import App, Reported
from ftpsvc_client.cli.output import Output

if TYPE_CHECKING:
    from ftpsvc_client.results import Problem, RemoteEntry, SyncReport, Transfer, TreeReport


def file_moved(app: App, transfer: Transfer, source: str, target: str, *, fetching: bool) -> None:
    """Prints that a file was stored or fetched."""
    local, remote = (target, source) if fetching else (source, target)
    if app.out.json:
        app.out.record({
            "type": "file", "local": local, "remote": remote, "size": transfer.size, "sent": transfer.sent,
            "algorithm": transfer.algorithm, "digest": transfer.digest, "already_there": transfer.already_there,
        })  # fmt: skip
        return
    what = "already there" if transfer.already_there else format_size(transfer.size)
    if 0 < transfer.sent < transfer.size:
        what += f", {format_size(transfer.sent)} of it moved"
    app.out.result(f"{source} -> {target}  {what}  {transfer.algorithm} {transfer.digest}")


def tree_moved(
    app: App, report: TreeReport, source: str, target: str, *, fetching: bool, connections: int
) -> None:
    """Prints what became of a tree, for which so many connections were asked for.

    Raises:
        Reported: Something in it failed, and that has been told.
    """
    local, remote = (target, source) if fetching else (source, target)
    _tell_fewer(app, report, connections)
    _tell_problems(app, report)
    if app.out.json:
        app.out.record({
            "type": "tree", "local": local, "remote": remote, "files": report.files, "present": report.present,
            "directories": report.directories, "size": report.size,
            "problems": [_problem_record(problem) for problem in report.problems],
            "skipped": [_problem_record(problem) for problem in report.skipped],
        })  # fmt: skip
    else:
        parts = [count(report.files, "file"), format_size(report.size)]
        if report.present:
            parts.append(f"{report.present:,} already there")
        if report.problems:
            parts.append(f"{len(report.problems):,} failed")
        app.out.result(f"{source} -> {target}  {', '.join(parts)}")
    if report.problems:
        raise Reported(exits.code_of_several([exits.code_of(problem.error) for problem in report.problems]))


def synced(
    app: App, report: SyncReport, source: str, target: str, *, up: bool, dry_run: bool, connections: int
) -> None:
    """Prints what became of a synchronisation, for which so many connections were asked for.

    Raises:
        Reported: Something in it failed, and that has been told.
    """
    if not dry_run:
        _tell_fewer(app, report, connections)
    _tell_problems(app, report)
    if report.kept is not None:
        app.out.error(f"nothing was deleted: {report.kept}")
    if app.out.json:
        app.out.record({
            "type": "sync", "source": source, "target": target, "direction": "up" if up else "down",
            "dry_run": dry_run, "files": report.files, "present": report.present, "directories": report.directories,
            "deleted": report.deleted, "size": report.size, "kept": report.kept,
            "problems": [_problem_record(problem) for problem in report.problems],
            "skipped": [_problem_record(problem) for problem in report.skipped],
        })  # fmt: skip
    elif not dry_run:
        parts = [count(report.files, "file"), format_size(report.size), f"{report.present:,} the same"]
        if report.deleted:
            parts.append(f"{report.deleted:,} deleted")
        if report.problems:
            parts.append(f"{len(report.problems):,} failed")
        app.out.result(f"{source} -> {target}  {', '.join(parts)}")
    if report.problems:
        raise Reported(exits.code_of_several([exits.code_of(problem.error) for problem in report.problems]))


def _tell_fewer(app: App, report: TreeReport, connections: int) -> None:
    if report.connections < connections:
        app.out.note(
            f"the server has no room for {connections} connections more: "
            f"the files went over {report.connections}"
        )


def _tell_problems(app: App, report: TreeReport) -> None:
    for problem in report.problems:
        app.out.error(_told(problem))
    for hint in sorted({hint for problem in report.problems if (hint := app.hint_for(problem.error))}):
        app.out.hint(hint)
    for left_out in report.skipped:
        app.out.note(f"left out: {_told(left_out)}")


def _told(problem: Problem) -> str:
    text = str(problem.error)
    return text if text.startswith(problem.path) else f"{problem.path}: {text}"


def _problem_record(problem: Problem) -> dict[str, Any]:
    return {"path": problem.path, "code": problem.error.code, "message": str(problem.error)}


def entry_record(entry: RemoteEntry, path: str) -> dict[str, Any]:
    """Returns an entry as a JSON object, `path` being what the commands take for it from here."""
    return {
        "path": path, "name": entry.name, "type": entry.kind, "size": entry.size, "modified": entry.modified,
        "mode": entry.mode, "version": entry.version, "algorithm": entry.algorithm, "digest": entry.digest,
        "note": entry.note,
    }  # fmt: skip


def marked(name: str, kind: str) -> str:
    """Returns a name with what shows its kind: `/` for a directory, `@` for a link, `?` for a device and the like."""
    return name + {"dir": "/", "link": "@", "other": "?"}.get(kind, "")


def long_line(entry: RemoteEntry, name: str, *, human: bool) -> str:
    """Returns an entry's line of `ls -l`: kind and mode, size, time, name."""
    size = "-"
    if entry.size is not None:
        size = format_size(entry.size) if human else str(entry.size)
    return f"{_mode(entry)} {size:>{10 if human else 14}}  {moment(entry.modified)}  {name}"


def _mode(entry: RemoteEntry) -> str:
    import stat

    kinds = {"file": stat.S_IFREG, "dir": stat.S_IFDIR, "link": stat.S_IFLNK, "other": stat.S_IFCHR}
    text = stat.filemode(kinds[entry.kind] | (entry.mode or 0))
    if entry.kind == "other":
        text = "?" + text[1:]
    return text if entry.mode is not None else text[0] + "---------"


def moment(nanoseconds: int | None) -> str:
    """Returns a time in the local zone, to the minute; blanks where it is not known or no calendar has it."""
    import datetime

    if nanoseconds is not None:
        try:
            seconds = nanoseconds // 1_000_000_000
            return (
                datetime.datetime.fromtimestamp(seconds, datetime.UTC).astimezone().strftime("%Y-%m-%d %H:%M")
            )
        except (OverflowError, OSError, ValueError):
            pass
    return " " * 16


def skipped(out: Output, entry: RemoteEntry) -> None:
    """Says that a name in a listing cannot be addressed, and was left out."""
    out.note(f"left out: {entry.path}: {entry.note or 'that is no name'}")
