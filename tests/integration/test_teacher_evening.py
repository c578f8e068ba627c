"""docs/teacher-evening.md: its files, commands and units, as they stand there, with a real daemon and sandbox."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from ftpsvc.homework.sandbox.base import Sandbox
from tests.helpers import pages
from tests.helpers.cli import program
from tests.helpers.daemon import ServerProcess, server

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "teacher-evening.md"

ADDRESS = "ftpsvc://files.example.org"
FINGERPRINT = "5F:3A:91:0C:44:E7"
CODES = {"2026001": "98S5-LNTX-HG4P-2T3G", "2026002": "QC2F-DYQQ-T53T-27T6"}
DATES = {"2026-11-10": -14, "2026-11-22": -2, "2026-12-01": 7, "2026-12-08": 14}
"""The dates of the page, and how many days they are from its today."""

_PART = re.compile(r"`([^`\n]+)`:\n\n```\w+\n(.*?)^```$|^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def parts() -> Iterator[tuple[str, str] | pages.Step]:
    """Files as name and content, and steps, in the order of the page."""
    for name, content, session in _PART.findall(PAGE.read_text("utf-8")):
        if name:
            yield name, content
        else:
            yield from pages.parse(session)


@pytest.mark.timeout(1200)
def test_an_evening_from_an_empty_root_to_a_restored_backup(
    found_sandbox: tuple[Sandbox, str | None], tmp_path: Path
) -> None:
    here, root = tmp_path / "course", tmp_path / "lib" / "ftpsvc"
    here.mkdir()
    root.mkdir(parents=True)
    _, bwrap = found_sandbox
    found = [Path(program()).parent, *([Path(bwrap).parent] if bwrap else [])]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("FTPSVC", "XDG_"))},
        "PATH": ":".join([*map(str, found), os.environ["PATH"]]),
        "HOME": str(tmp_path),
        "FTPSVCD_ROOT": str(root),
        "LC_ALL": "C.UTF-8",
        "TZ": "Europe/Berlin",
    }
    replace = {
        shown: (date.today() + timedelta(days=days)).isoformat()  # noqa: DTZ011 -- whole days are enough
        for shown, days in DATES.items()
    } | {"/var/lib": str(tmp_path / "lib")}
    wrong = []
    with server(root, guest="none", listen="ftpsvc://127.0.0.1:0", module="ftpsvc.commands.server") as daemon:
        replace |= {ADDRESS: daemon.url, FINGERPRINT: fingerprint(daemon)}
        for part in parts():
            if isinstance(part, tuple):
                write(here, *part, replace)
                continue
            if part.command.startswith("tar --create"):
                daemon.stop()
            lines = pages.run(part, environment, here, replace)
            if not part.matches(lines):
                wrong.append("\n".join(["$ " + part.command, *lines]))
            if part.command.startswith("ftpsvc-server user import"):
                replace |= {shown: code_of(here / "codes.txt", user) for user, shown in CODES.items()}
    assert wrong == [], "\n".join(wrong)


def write(here: Path, name: str, content: str, replace: dict[str, str]) -> None:
    for shown, real in replace.items():
        name, content = name.replace(shown, real), content.replace(shown, real)
    if not name.startswith("/etc/"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(content, "utf-8")


def fingerprint(daemon: ServerProcess) -> str:
    return daemon.wait_for("certificate SHA256").partition("SHA256 ")[2]


def code_of(slips: Path, user: str) -> str:
    found = re.search(rf"^User: +{user}\nCode: +(\S+)$", slips.read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


UNITS = [
    (page.name, name, content)
    for page in (PAGE, DOCS / "install.md")
    for name, content in re.findall(
        r"`/etc/systemd/system/([^`]+)`:\n\n```ini\n(.*?)^```$",
        page.read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
]


def test_both_units_are_there() -> None:
    assert [name for _, name, _ in UNITS] == ["ftpsvc-grade.service", "ftpsvc.service"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    programs = Path(program()).parent
    for _, name, content in UNITS:
        text = content.replace("/opt/ftpsvc/bin", str(programs))
        (tmp_path / name).write_text(text, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for _, name, _ in UNITS)],
        capture_output=True, encoding="utf-8", timeout=pages.GUARD, check=False,
    )  # fmt: skip
    # Its exit code also tells of the machine's own units; what it says of a line of ours has the line's number.
    assert re.findall(r"^.*\.service:\d+: .*$", done.stderr, re.MULTILINE) == []
