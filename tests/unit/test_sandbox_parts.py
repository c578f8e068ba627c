"""Parts of the sandbox by themselves, the search, the doctor, and what is in force on this very machine."""

import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from ftpsvc.homework.grade_cli import command
from ftpsvc.homework.sandbox import choose, doctor, seccomp
from ftpsvc.homework.sandbox.base import Job, Sandbox, SandboxError
from ftpsvc.homework.sandbox.bwrap import Bwrap
from ftpsvc.homework.sandbox.choose import Attempt
from ftpsvc.homework.sandbox.doctor import Cap, Report
from tests.helpers.sandboxes import Mark, why_not, working

REPOSITORY = Path(__file__).resolve().parents[2]
X86, ARM = 0xC000003E, 0xC00000B7
FORBIDDEN = """[ $1 = --version ] && echo bubblewrap 9.9 && exit
echo "bwrap: No permissions to create new namespace" >&2; exit 1"""
PRETENDING = """#!/bin/bash
while [ "$1" != -- ]; do
    if [ "$1" = --info-fd ]; then echo '{}' >&"$2"; fi
    shift
done
shift
exec "$@"
"""
ALLOWED, REFUSED, UNKNOWN, NO_FAMILY = 0x7FFF0000, 0x00050001, 0x00050026, 0x00050061


def test_what_is_in_force_on_this_machine(record_property: Callable[[str, object], None]) -> None:
    """Never fails for what a machine forbids, and always says it: in the summary of every run."""
    with working() as (sandbox, tried, _):
        said = why_not(tried) if sandbox is None else f"the sandbox's tests run in {sandbox.name}"
        record_property("counted", said)
        assert sandbox is not None or all(one.reason for one in tried)


def test_the_doctor_finds_every_promise_kept(found_sandbox: tuple[Sandbox, str | None]) -> None:
    named = ["--bwrap", found_sandbox[1]] if found_sandbox[1] else []
    result = CliRunner().invoke(command, ["doctor", "--json", *named])
    report = json.loads(result.stdout)
    assert [cap for cap in report["caps"] if not cap["held"] and cap["needed"]] == []
    assert (result.exit_code, report["ok"]) == (0, True)
    assert report["sandbox"] == found_sandbox[0].name
    assert [cap["name"] for cap in report["caps"]] == [name for name, _, _ in doctor.PROBES]
    assert report["runs_as"] == (os.geteuid() or 65534)


def test_the_doctor_reads_as_a_table_and_says_when_something_is_missing() -> None:
    caps = (
        Cap("net", True, True, "cut"),
        Cap("disk", False, True, "grew"),
        Cap("proc", False, False, "none"),
    )
    broken = Report("bwrap 1", "python3", 7, (Attempt("a", "no", "do b"), Attempt("bwrap 1", None)), caps)
    assert not broken.ok
    assert broken.lines() == [
        "tried    a: no",
        "hint:    do b",
        "uses     bwrap 1",
        "python   python3",
        "runs as  uid 7",
        "  net          held      cut",
        "  disk         NOT HELD  grew",
        "  proc         no        none",
        "not fit to grade homework",
    ]
    good = Report("bwrap 1", "python3", 7, (), (caps[0], caps[2]))
    assert good.ok
    assert good.lines()[-1] == "ready to grade"


def test_without_a_sandbox_nothing_is_graded(tmp_path: Path) -> None:
    for content in ("exit 1", FORBIDDEN, None):
        fake = tmp_path / "bwrap"
        fake.unlink(missing_ok=True)
        if content:
            fake.write_text(f"#!/bin/sh\n{content}\n")
            fake.chmod(0o755)
        sandbox, tried = choose.search(program=str(fake))
        assert sandbox is None
        assert tried
        assert all(one.reason for one in tried)
        with pytest.raises(SandboxError, match="no sandbox works here") as caught:
            choose.choose(program=str(fake))
        assert caught.value.hint
        result = CliRunner().invoke(command, ["doctor", "--bwrap", str(fake)])
        assert result.exit_code == 3
        assert result.stdout.splitlines()[-1] == "no sandbox works here: nothing can be graded"


def test_a_sandbox_that_does_nothing_is_seen_through(sandbox: Sandbox) -> None:
    """A bwrap that just runs the program is not taken for a sandbox: it does not report as one."""
    with tempfile.TemporaryDirectory(prefix="ft") as place:
        Path(place).chmod(0o755)
        fake = Path(place) / "bwrap"
        fake.write_text(PRETENDING)
        fake.chmod(0o755)
        mark = Mark()
        with pytest.raises(SandboxError, match="did not say which process"):
            Bwrap(str(fake), "1").run(Job(argv=("sleep", "600"), env=mark.env))
        assert mark.processes() == []


def test_there_is_no_way_to_grade_as_root_or_without_a_sandbox() -> None:
    with pytest.raises(ValueError, match="not started as root"):
        Bwrap("/usr/bin/bwrap", "1", uid=0)
    for kind in ("none", "", "sandlock"):
        with pytest.raises(ValueError, match="no sandbox"):
            choose.search(kind)


def test_a_python_is_found_by_trying(sandbox: Sandbox) -> None:
    assert choose.find_python(sandbox) in choose.PYTHONS
    assert choose.find_python(sandbox, "/usr/bin/false") is None


def ran(program: bytes, number: int, architecture: int, first_argument: int = 0) -> int:
    """What the kernel would return: the same bytecode, interpreted by the rules of classic BPF."""
    data = struct.pack("<iIQ6Q", number, architecture, 0, first_argument, 0, 0, 0, 0, 0)
    steps = list(struct.iter_unpack("<HBBI", program))
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x15:
            at += if_true if accumulator == value else if_false
        elif code == 0x35:
            at += if_true if accumulator >= value else if_false
        else:
            assert code == 0x06
            return int(value)


@pytest.mark.parametrize(("machine", "architecture"), [("x86_64", X86), ("aarch64", ARM)])
def test_the_filter_refuses_its_calls_and_no_others(machine: str, architecture: int) -> None:
    program = seccomp.program(machine)
    assert program is not None
    column = 0 if machine == "x86_64" else 1
    numbers = {pair[column] for pair in seccomp._REFUSED.values()} - {-1}
    sockets = {pair[column] for pair in seccomp._SOCKETS.values()}
    for number in range(600):
        for family in range(50) if number in sockets else [0]:
            expected = REFUSED if number in numbers else ALLOWED
            if number in sockets and family not in (1, 2, 10):
                expected = NO_FAMILY
            assert ran(program, number, architecture, family) == expected, (number, family)
    assert ran(program, 1, X86 + ARM - architecture) == UNKNOWN
    assert ran(program, 0x40000000 + 1, architecture) == UNKNOWN


def test_an_unknown_machine_has_no_filter() -> None:
    assert seccomp.program("m68k") is None


def test_help_loads_nothing_that_it_does_not_need() -> None:
    code = "import json, sys, ftpsvc.homework.grade_cli; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(json.loads(done.stdout))
    assert loaded.isdisjoint(
        {"pydantic", "sqlalchemy", "socketserver", "ssl", "ftpsvc.homework.sandbox.bwrap"}
    )


def test_the_page_knows_every_promise() -> None:
    page = (REPOSITORY / "docs" / "grading.md").read_text(encoding="utf-8")
    for name, _, _ in doctor.PROBES:
        assert f"| `{name}` |" in page
