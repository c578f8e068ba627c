"""What every sandbox does for a program that means no harm (ftpsvc/homework/sandbox/base.py)."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ftpsvc.homework.sandbox.base import BOX, MAX_FILES, Job, Limits, Outcome, Sandbox, SandboxError
from tests.helpers.names import USABLE
from tests.helpers.sandboxes import Mark, wide


def script(sandbox: Sandbox, code: str, **more: object) -> Outcome:
    return sandbox.run(Job(argv=("python3", "-c", code), limits=wide(), **more))  # type: ignore[arg-type]


def test_a_program_gets_its_input_and_is_told_apart_from_its_errors(sandbox: Sandbox) -> None:
    code = "import sys; print(sys.stdin.read().upper()); print('no', file=sys.stderr); sys.exit(3)"
    outcome = script(sandbox, code, stdin=b"yes")
    assert (outcome.exit, outcome.signal, outcome.killed_by, outcome.status) == (3, None, None, 3)
    assert (outcome.stdout, outcome.stderr, outcome.truncated) == (b"YES\n", b"no\n", False)
    assert outcome.wall > 0
    assert outcome.cpu > 0


def test_input_may_be_a_file_and_larger_than_a_pipe(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(bytes(3 << 20))
    outcome = script(sandbox, "import sys; print(len(sys.stdin.buffer.read()))", stdin=tmp_path / "in")
    assert outcome.stdout == b"3145728\n"


def test_input_that_nobody_reads_is_no_fault(sandbox: Sandbox) -> None:
    assert sandbox.run(Job(argv=("true",), stdin=bytes(1 << 20))).exit == 0


def test_the_hand_in_lies_in_the_working_folder(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "lib" / "deep").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "main.py").write_text(
        "import os, lib.one; print(os.getcwd(), lib.one.x, os.listdir('empty'))"
    )
    (tmp_path / "lib" / "one.py").write_text("x = 7")
    (tmp_path / "lib" / "deep" / "run.sh").write_text("#!/bin/sh\necho ran $0\n")
    (tmp_path / "lib" / "deep" / "run.sh").chmod(0o555)
    assert sandbox.run(Job(argv=("python3", "main.py"), folder=tmp_path)).stdout == f"{BOX} 7 []\n".encode()
    assert sandbox.run(Job(argv=("lib/deep/run.sh",), folder=tmp_path)).stdout.endswith(b"lib/deep/run.sh\n")


def test_c30_names_of_all_kinds_arrive_as_they_are(sandbox: Sandbox, tmp_path: Path) -> None:
    names = {os.fsencode(name) for name in USABLE if "/" not in name}
    names |= {b"-rf", b"a\nb", b"\xff\xfe", b"x" * 255, b"'\"$(id)`id`"}
    names = {name for name in names if len(name) <= 255 and b"\0" not in name}
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    code = (
        "import os\nfor n in os.listdir(b'.'): assert open(n, 'rb').read() == n\nprint(len(os.listdir('.')))"
    )
    outcome = script(sandbox, code, folder=tmp_path)
    assert (outcome.stdout, outcome.stderr) == (f"{len(names)}\n".encode(), b"")


def test_links_and_special_files_of_a_hand_in_are_left_out(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the tests")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.py").write_text("")
    (folder / "link").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    assert script(sandbox, "import os; print(os.listdir('.'))", folder=folder).stdout == b"['a.py']\n"


def test_further_files_cover_those_of_the_hand_in_and_stay_as_they_are(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "g1.txt").write_text("forged")
    (tmp_path / "test").write_text("a file where the tests have a folder")
    (tmp_path / "g2.txt").mkdir()
    (tmp_path / "g2.txt" / "x").write_text("a folder where the tests have a file")
    own = tmp_path / "own"
    own.write_text("from the teacher")
    code = """
import os
for name in "data/g1.txt", "test/deep/x", "g2.txt":
    print(open(name).read())
    for attempt in (lambda: open(name, "w"), lambda: os.remove(name), lambda: os.rename(name, "y"),
                    lambda: os.rename("/tmp/z", name), lambda: os.chmod(name, 0o777)):
        open("/tmp/z", "w").write("forged")
        try:
            attempt()
            print("BROKE", name)
        except OSError:
            pass
    print(open(name).read())
"""
    files = {"data/g1.txt": b"right", "test/deep/x": own, "g2.txt": b"two"}
    outcome = script(sandbox, code, folder=tmp_path, files=files)
    assert outcome.stdout.split(b"\n") == [*[b"right"] * 2, *[b"from the teacher"] * 2, *[b"two"] * 2, b""]
    assert own.read_text() == "from the teacher"


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "", ".", "a//b", "a/", "a\0b"])
def test_c15_a_further_file_has_a_name_inside(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(ValueError, match="no name inside"):
        sandbox.run(Job(argv=("true",), files={name: b""}))


def test_the_box_is_writable_or_not_and_nothing_stays_for_the_next(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    write = """
for path in "/box/a", "/box/b", "/tmp/c", "/dev/shm/d":
    try:
        open(path, "w").write("x")
        print(path)
    except OSError:
        pass
"""
    assert script(sandbox, write, folder=tmp_path).stdout == b"/box/a\n/box/b\n/tmp/c\n/dev/shm/d\n"
    assert script(sandbox, write, folder=tmp_path, writable=False).stdout == b"/tmp/c\n/dev/shm/d\n"
    look = "import os; print(open('a').read(), os.listdir('.'), os.listdir('/tmp'), os.listdir('/dev/shm'))"
    assert script(sandbox, look, folder=tmp_path).stdout == b"mine ['a'] [] []\n"
    assert (tmp_path / "a").read_text() == "mine"


def test_the_environment_is_the_jobs(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTPSVC_KEY", "secret")
    found = script(
        sandbox, "import os; print(dict(os.environ))", env={"COURSE": "a b\n'c'", "LANG": "C"}
    ).stdout
    seen = eval(found)  # noqa: S307 -- printed by the line above
    assert seen["COURSE"] == "a b\n'c'"
    assert seen["LANG"] == "C"
    assert set(seen) <= {"COURSE", "PATH", "HOME", "TMPDIR", "LANG", "PWD", "SHLVL", "LC_CTYPE", "_"}


def test_a_program_that_is_not_there_is_the_jobs_fault(sandbox: Sandbox) -> None:
    assert sandbox.run(Job(argv=("./missing",))).exit == 127
    assert sandbox.run(Job(argv=("no-such-program",))).exit == 127


@pytest.mark.parametrize("code", [1, 2, 125, 126, 127, 128, 255])
def test_no_exit_code_is_taken_for_a_failure_of_the_sandbox(sandbox: Sandbox, code: int) -> None:
    outcome = sandbox.run(Job(argv=("sh", "-c", f"exit {code}")))
    assert (outcome.exit, outcome.signal, outcome.killed_by) == (code, None, None)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGTERM])
def test_a_signal_is_told_by_its_number(sandbox: Sandbox, number: signal.Signals) -> None:
    outcome = script(sandbox, f"import os; os.kill(os.getpid(), {int(number)})")
    assert (outcome.exit, outcome.signal, outcome.killed_by, outcome.status) == (
        None,
        number,
        None,
        128 + number,
    )


def test_output_up_to_the_limit_is_whole_and_one_byte_more_is_cut(sandbox: Sandbox) -> None:
    for size, killed_by in ((1000, None), (1001, "output")):
        limits = wide(output=1000)
        outcome = sandbox.run(Job(argv=("python3", "-c", f"print('x' * {size}, end='')"), limits=limits))
        assert (len(outcome.stdout), outcome.truncated, outcome.killed_by) == (1000, size > 1000, killed_by)


def test_what_it_was_given_counts_for_nothing_of_the_disk(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(3 << 20))
    limits = wide(disk=1 << 20)
    code = "open('x', 'wb').write(bytes(900_000))"
    outcome = sandbox.run(Job(argv=("python3", "-c", code), folder=tmp_path, limits=limits))
    assert (outcome.exit, outcome.killed_by, outcome.stderr) == (0, None, b"")


def test_jobs_run_side_by_side_and_count_for_themselves(sandbox: Sandbox) -> None:
    code = """
import os, time
for _ in range(6):
    if not os.fork():
        time.sleep(0.2)
        os._exit(0)
for _ in range(6):
    os.wait()
print("all")
"""
    job = Job(argv=("python3", "-c", code), limits=wide(processes=8))
    with ThreadPoolExecutor(4) as pool:
        assert [one.stdout for one in pool.map(sandbox.run, [job] * 4)] == [b"all\n"] * 4


def test_what_nobody_can_read_is_no_result(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="cannot read"):
        sandbox.run(Job(argv=("true",), folder=tmp_path / "gone"))
    with pytest.raises(SandboxError, match="cannot read"):
        sandbox.run(Job(argv=("true",), files={"a": tmp_path / "gone"}))
    with pytest.raises(SandboxError, match="cannot read"):
        sandbox.run(Job(argv=("true",), stdin=tmp_path / "gone"))


def test_a_mount_that_is_not_there_is_no_result_and_nothing_is_left(sandbox: Sandbox, tmp_path: Path) -> None:
    mark = Mark()
    with pytest.raises(SandboxError, match="cannot be set up"):
        sandbox.run(Job(argv=("sleep", "600"), mounts=(tmp_path / "gone",), env=mark.env))
    assert mark.wait_for(0)


def test_a_mounted_folder_is_seen_and_only_read(sandbox: Sandbox, short_tmp: Path) -> None:
    short_tmp.chmod(0o755)
    (short_tmp / "lib.py").write_text("x = 1")
    code = f"""
print(open("{short_tmp}/lib.py").read())
try:
    open("{short_tmp}/y", "w")
except OSError:
    print("no")
"""
    assert script(sandbox, code, mounts=(short_tmp,)).stdout == b"x = 1\nno\n"


def test_too_many_files_are_refused_before_anything_runs(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match=f"more than {MAX_FILES} files"):
        sandbox.run(Job(argv=("true",), files={f"f{i}": b"" for i in range(MAX_FILES + 1)}))


def test_as_many_files_as_are_promised_arrive(sandbox: Sandbox, tmp_path: Path) -> None:
    for i in range(MAX_FILES):
        (tmp_path / f"f{i}").write_text("x")
    assert (
        script(sandbox, "import os; print(len(os.listdir()))", folder=tmp_path).stdout
        == f"{MAX_FILES}\n".encode()
    )


@pytest.mark.parametrize(
    "job",
    [Job(argv=()), Job(argv=("a\0b",)), Job(argv=("a",), env={"": "x"}), Job(argv=("a",), env={"a=b": "x"})],
)
def test_what_is_no_job_is_refused(sandbox: Sandbox, job: Job) -> None:
    with pytest.raises(ValueError, match=r"program|NUL|variable"):
        sandbox.run(job)


@pytest.mark.parametrize("name", ["cpu", "wall", "memory", "processes", "output", "file", "disk"])
def test_no_limit_is_none(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Limits(**{name: 0})


def test_it_says_what_it_is(sandbox: Sandbox) -> None:
    kind, _, version = sandbox.name.partition(" ")
    assert kind
    assert version[0].isdigit()
    assert {"net", "fs", "cpu", "wall", "memory", "processes", "output", "file", "disk"} <= set(sandbox.caps)


def test_a_run_keeps_no_thread(sandbox: Sandbox) -> None:
    before = threading.active_count()
    sandbox.run(Job(argv=("true",)))
    assert threading.active_count() == before
