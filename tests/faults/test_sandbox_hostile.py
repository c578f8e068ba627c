"""Hostile hand-ins: each tries to get out, to see what it may not, or to take more than it may. None succeeds.

A probe prints BROKE where it got what it wanted. `test_the_probes_work_where_nothing_holds_them` runs those that do no
harm without a sandbox, so that a probe that could never succeed is found out.
"""

import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ftpsvc.homework.sandbox import seccomp
from ftpsvc.homework.sandbox.base import Cap, Job, Outcome, Sandbox
from ftpsvc.homework.sandbox.bwrap import Bwrap
from tests.helpers.sandboxes import Mark, wide

TRY = """
import ctypes, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def broke(what, attempt):
    try:
        result = attempt()
    except (OSError, ValueError):
        return
    if result not in (-1, None, ""):
        print("BROKE", what, repr(result)[:80])
def opened(path, mode="r"):
    with open(path, mode) as file:
        return (file.read(10) if mode == "r" else "opened") or "empty"
"""


@dataclass(frozen=True)
class Probe:
    """A hostile program, how it must end, and whether it succeeds bare (None: it would do harm)."""

    name: str
    code: str
    killed_by: Cap | None = None
    exit: int | None = 0
    limits: dict[str, float] = field(default_factory=dict)
    bare: bool = False


def probe(name: str, code: str, killed_by: Cap | None = None, bare: bool = False, **limits: float) -> Probe:
    return Probe(name, code, killed_by, None if killed_by else 0, limits, bare)


PROBES = [
    # What it may not reach. Arguments: TCP port, abstract socket, folder with the tests, keys and other hand-ins.
    probe("the machine's own network", """
def tcp():
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20): return "connected"
broke("tcp", tcp)
def abstract():
    with socket.socket(socket.AF_UNIX) as s: s.connect("\\0" + sys.argv[2]); return "connected"
broke("abstract socket", abstract)
""", bare=True),
    probe("the network outside", """
def send(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as s: return s.sendto(b"x", address)
broke("udp", lambda: send(socket.AF_INET, ("192.0.2.1", 53)))
broke("broadcast", lambda: send(socket.AF_INET, ("10.255.255.255", 9)))
broke("udp6", lambda: send(socket.AF_INET6, ("2001:db8::1", 53)))
broke("names", lambda: socket.getaddrinfo("example.org", 80))
if len(socket.if_nameindex() if False else os.listdir("/sys/class/net") if os.path.exists("/sys/class/net") else []):
    print("BROKE interfaces")
for family in 16, 17, 38, 40:  # netlink, packet, kernel crypto, the host of a virtual machine
    broke(f"family {family}", lambda: socket.socket(family, socket.SOCK_RAW if family == 16 else socket.SOCK_STREAM))
"""),
    probe("tests, keys, the gradebook and other hand-ins", """
place = sys.argv[3]
for name in "tests/secret.txt", "submissions/hw1/bob/a.py", "key.pem", "gradebook.db":
    for path in (place, "/proc/1/root" + place, "/proc/self/root" + place, "/box/../../../.." + place,
                 "/proc/self/cwd/.." + place, "/dev/fd/0/.." + place):
        broke(path, lambda: opened(path + "/" + name))
""", bare=True),
    probe("links of the hand-in that lead out", """
for name in "link", "linked/secret.txt", "proc/1/environ":
    broke(name, lambda: opened(name))
os.symlink("/etc/shadow", "mine")
broke("mine", lambda: opened("mine"))
os.symlink(sys.argv[3], "out")
broke("out", lambda: opened("out/key.pem"))
""", bare=True),
    probe("other processes, and what is in /proc", """
mine = {int(p) for p in os.listdir("/proc") if p.isdigit()}
if len(mine) > 4: print("BROKE sees", len(mine), "processes")
for pid in mine:
    broke(f"environ of {pid}", lambda: b"FTPSVC_SECRET" in open(f"/proc/{pid}/environ", "rb").read() or None)
    for fd in os.listdir(f"/proc/{pid}/fd") if os.access(f"/proc/{pid}/fd", os.R_OK) else []:
        target = os.readlink(f"/proc/{pid}/fd/{fd}") if os.path.islink(f"/proc/{pid}/fd/{fd}") else ""
        if target.startswith("/") and not target.startswith(("/dev/", "/proc/", "/box", "/memfd:input")):
            print("BROKE", pid, target)
if len(os.listdir("/proc/self/fd")) > 4: print("BROKE descriptors", os.listdir("/proc/self/fd"))
broke("memory of 1", lambda: opened("/proc/1/mem", "r+"))
broke("memory of the machine", lambda: opened("/dev/mem"))
broke("log of the kernel", lambda: opened("/dev/kmsg"))
broke("tracing", lambda: libc.ptrace(16, 1, 0, 0))
broke("sysrq", lambda: opened("/proc/sysrq-trigger", "w"))
broke("core pattern", lambda: opened("/proc/sys/kernel/core_pattern", "w"))
""", bare=True),
    probe("ending everybody", """
for target in 1, -1:
    for number in 9, 19, 15:
        try: os.kill(target, number)
        except OSError: pass
"""),
    probe("its input, which is the teacher's", """
def rewrite():
    with open("/proc/self/fd/0", "r+b") as file: return file.write(b"forged")
broke("stdin", rewrite)
broke("cut", lambda: os.truncate("/proc/self/fd/0", 0) or "cut")
broke("fixed", lambda: opened("fixed", "w"))
"""),
    probe("the system's files", """
for path in ("/", "/usr", "/usr/bin", "/usr/lib", "/etc", "/dev", "/bin", "/usr/lib/python3/dist-packages"):
    broke(path, lambda: opened(path + "/ftpsvc-was-here", "w"))
broke("passwd", lambda: opened("/etc/passwd", "a"))
broke("python", lambda: opened("/usr/bin/python3", "r+"))
broke("chmod", lambda: os.chmod("/usr/bin/env", 0o777) or "changed")
broke("remount", lambda: libc.mount(b"none", b"/usr", None, 0x1020, None))
"""),
    # What it may not become.
    probe("root", """
for call in (lambda: libc.setuid(0), lambda: libc.setreuid(0, 0), lambda: libc.setgroups(0, None)):
    broke("uid", call)
import shutil, subprocess
shutil.copy("/bin/sh", "suid"); os.chmod("suid", 0o6755)
print(subprocess.run(["./suid", "-pc", "id -u | sed 's/^0$/BROKE root/'"], capture_output=True, text=True).stdout)
for tool in "sudo -n id", "su -c id", "passwd -S", "mount", "newgrp":
    if shutil.which(tool.split()[0]):
        done = subprocess.run(tool.split(), capture_output=True, text=True, stdin=-3)
        if "uid=0" in done.stdout: print("BROKE", tool)
"""),
    probe("the owner of a namespace of its own", """
for flag in 0x10000000, 0x20000, 0x40000000, 0x20000000, 0x8000000:
    broke(f"unshare {flag:x}", lambda: libc.unshare(flag))
    broke(f"clone {flag:x}", lambda: libc.syscall(56 if os.uname().machine == "x86_64" else 220, flag | 17, 0, 0, 0, 0))
broke("chroot", lambda: os.chroot("/tmp") or "changed")
broke("mount", lambda: libc.mount(b"x", b"/tmp", b"tmpfs", 0, None))
broke("umount", lambda: libc.umount2(b"/box/fixed", 2))
broke("hostname", lambda: socket.sethostname("x") or "changed")
broke("time", lambda: time.clock_settime(0, 0) or "changed")
broke("priority", lambda: os.nice(-5) or "raised")
broke("real time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)) or "raised")
"""),
    probe("a maker of device nodes", """
import stat
for kind, major, minor in ((stat.S_IFBLK, 8, 0), (stat.S_IFBLK, 254, 0), (stat.S_IFCHR, 1, 1), (stat.S_IFCHR, 1, 3)):
    for place in "/box/node", "/tmp/node", "/dev/shm/node":
        broke(f"node {place}", lambda: os.mknod(place, kind | 0o666, os.makedev(major, minor)) or "made")
"""),
    probe("the typist of the grader's terminal", """
import fcntl
for fd in 0, 1, 2:
    broke("typing", lambda: fcntl.ioctl(fd, 0x5412, b"x"))
broke("terminal", lambda: os.open("/dev/tty", os.O_RDWR))
"""),
    # What it may not take. The ones that would bring a machine down are never run bare.
    probe("a fork bomb", "while True:\n  try: os.fork()\n  except OSError: pass", "processes", processes=16),
    probe("a bomb of orphans", """
while True:
    try:
        if os.fork() == 0:
            os.setsid()
            if os.fork(): os._exit(0)
    except OSError: pass
""", "processes", processes=16),
    probe("a bomb of threads", """
import threading
while True:
    try: threading.Thread(target=time.sleep, args=(600,)).start()
    except RuntimeError: time.sleep(600)
""", "processes", processes=16),
    probe("a memory bomb", "x = []\nwhile True: x.append(bytearray(1 << 20))", "memory", memory=48 << 20),
    probe("a memory bomb in many processes", """
for _ in range(6): os.fork()
x = [b"x" * (1 << 20) for _ in range(8)]
time.sleep(600)
""", "memory", memory=200 << 20, processes=80),
    probe("memory that nobody has resident", """
import mmap
kept = []
while True:
    part = mmap.mmap(-1, 8 << 20)
    part.write(bytes(8 << 20)); part.madvise(mmap.MADV_DONTNEED); kept.append(part)
""", "memory", memory=64 << 20),
    probe("memory in the queues of sockets", """
import signal
signal.signal(signal.SIGXCPU, signal.SIG_IGN)
kept = []
while True:
    for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
        try: pair = socket.socketpair(socket.AF_UNIX, kind)
        except OSError: time.sleep(600)
        kept.append(pair)
        for one in pair:
            one.setblocking(False); one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30)
            try:
                while True: one.send(b"x" * 65536)
            except OSError: pass
""", "memory", memory=64 << 20),
    probe("memory in connections that nobody accepts", """
listener = socket.socket(socket.AF_UNIX)
listener.bind("/tmp/listener"); listener.listen(4096)
while True:
    with socket.socket(socket.AF_UNIX) as one:
        one.setblocking(False); one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30)
        try: one.connect("/tmp/listener")
        except OSError: time.sleep(600)
        try:
            while True: one.send(b"x" * 65536)
        except OSError: pass
""", "memory", memory=64 << 20),
    probe("memory of no process", """
broke("System V", lambda: libc.shmget(0, 1 << 20, 0o1600))
broke("memfd", lambda: os.memfd_create("x"))
broke("queue", lambda: libc.msgget(0, 0o1600))
broke("POSIX queue", lambda: ctypes.CDLL("librt.so.1").mq_open(b"/x", os.O_CREAT, 0o600, None))
broke("key", lambda: libc.syscall({"x86_64": 248}.get(os.uname().machine, 217), b"user", b"x", b"x" * 99, 99, -3))
broke("keyring", lambda: libc.syscall({"x86_64": 250}.get(os.uname().machine, 219), 0, -3, 1))
""", bare=True),
    probe("ways into the kernel", """
x86 = os.uname().machine == "x86_64"
for name, number in (("bpf", 321 if x86 else 280), ("perf", 298 if x86 else 241), ("userfaultfd", 323 if x86 else 282),
                     ("io_uring", 425), ("other memory", 310 if x86 else 270), ("open by handle", 304 if x86 else 265)):
    ctypes.set_errno(0)
    if libc.syscall(number, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 1: print("BROKE", name, ctypes.get_errno())
"""),
    probe("endless output", "while True: print('x' * 1000)", "output", output=100_000),
    probe("endless errors of a child", """
import subprocess
subprocess.Popen(["sh", "-c", "yes >&2"])
time.sleep(600)
""", "output", output=100_000),
    probe("a full disk, waiting", """
for place in "/box", "/tmp", "/dev/shm":
    with open(place + "/x", "wb") as file:
        try:
            while file.write(bytes(1 << 16)): pass
        except OSError: pass
time.sleep(600)
""", "disk", disk=1 << 20),
    probe("a zip bomb", """
import zipfile
with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bomb:
    bomb.writestr("big", bytes(16 << 20))
if os.stat("bomb.zip").st_size > 1 << 18: print("BROKE no bomb")
try: zipfile.ZipFile("bomb.zip").extractall("out")
except OSError: time.sleep(600)
print("BROKE unpacked")
""", "disk", disk=4 << 20),
    probe("a million empty files", """
import itertools
for number in itertools.count(): open(str(number), "wb").close()
""", "disk", disk=1 << 20),
    probe("a hole of a terabyte", """
broke("truncate", lambda: open("x", "wb").truncate(1 << 40))
broke("seek", lambda: (f := open("y", "wb", 0), f.seek(1 << 40), f.write(b"x")))
broke("over the limit", lambda: open("z", "wb", 0).write(bytes(3 << 20)) > (2 << 20) or None)
""", file=2 << 20),
    probe("a burner of processor time", "while True: pass", "cpu", cpu=0.2),
    probe("a burner that spreads it over children which nobody waits for", """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for ignored in signal.SIGXCPU, signal.SIGTERM, signal.SIGALRM: signal.signal(ignored, signal.SIG_IGN)
while True:
    if os.fork() == 0:
        end = time.process_time() + 0.2
        while time.process_time() < end: pass
        os._exit(0)
    time.sleep(0.15)
""", "cpu", cpu=0.5),
    probe("a sleeper", """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
time.sleep(600)
""", "wall", wall=0.3),
    probe("a program that stops itself", "os.kill(os.getpid(), 19)", "wall", wall=0.3),
    probe("all descriptors", """
taken = []
try:
    while True: taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError: pass
print("BROKE" if len(taken) > 1000 else "bounded")
"""),
    probe("a daemon that outlives it and keeps its output open", """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
print("gone")
"""),
    probe("a raised limit", """
import resource
for name in "CPU", "AS", "DATA", "NPROC", "FSIZE", "NOFILE", "CORE", "MSGQUEUE":
    which = getattr(resource, "RLIMIT_" + name, 12)
    broke(name, lambda: resource.setrlimit(which, (1 << 40, 1 << 40)) or "raised")
"""),
]  # fmt: skip


@dataclass(frozen=True)
class Surroundings:
    """What a hostile hand-in would like to have: open to everybody, so that only the sandbox is in between."""

    place: Path
    hand_in: Path
    arguments: tuple[str, ...]


@pytest.fixture
def around(monkeypatch: pytest.MonkeyPatch) -> Iterator[Surroundings]:
    monkeypatch.setenv("FTPSVC_SECRET", "1")
    name = f"ftpsvc-{os.getpid()}"
    with (
        tempfile.TemporaryDirectory(prefix="ft") as folder,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        place = Path(folder)
        place.chmod(0o755)
        for path in ("tests/secret.txt", "submissions/hw1/bob/a.py", "key.pem", "gradebook.db"):
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_text("secret")
        abstract.bind(f"\0{name}")
        abstract.listen()
        hand_in = place / "in"
        hand_in.mkdir()
        (hand_in / "link").symlink_to(place / "key.pem")
        (hand_in / "linked").symlink_to(place / "tests")
        (hand_in / "proc").symlink_to("/proc")
        yield Surroundings(place, hand_in, (str(tcp.getsockname()[1]), name, folder))


def attempt(sandbox: Sandbox, one: Probe, around: Surroundings, mark: Mark) -> Outcome:
    (around.hand_in / "main.py").write_text(TRY + one.code)
    return sandbox.run(
        Job(
            argv=("python3", "main.py", *around.arguments),
            folder=around.hand_in,
            files={"fixed": b"the teacher's"},
            stdin=around.place / "gradebook.db",
            limits=wide(**one.limits),
            env=mark.env,
        )
    )


@pytest.mark.parametrize("one", PROBES, ids=lambda one: one.name)
def test_a_hostile_hand_in_gets_nothing_and_leaves_nothing(
    sandbox: Sandbox, around: Surroundings, one: Probe
) -> None:
    mark = Mark()
    outcome = attempt(sandbox, one, around, mark)
    assert b"BROKE" not in outcome.stdout, outcome.stdout
    assert (outcome.killed_by, outcome.exit) == (one.killed_by, one.exit), (
        outcome.stdout[:500],
        outcome.stderr[-500:],
    )
    assert b"Traceback" not in outcome.stderr or one.killed_by, outcome.stderr
    assert mark.processes() == []
    for name in ("tests/secret.txt", "key.pem", "gradebook.db"):
        assert (around.place / name).read_text() == "secret"
    assert sorted(os.listdir(around.hand_in)) == ["link", "linked", "main.py", "proc"]


@pytest.mark.parametrize("one", [one for one in PROBES if one.bare], ids=lambda one: one.name)
def test_the_probes_work_where_nothing_holds_them(around: Surroundings, one: Probe) -> None:
    (around.hand_in / "main.py").write_text(TRY + one.code)
    with open(around.place / "gradebook.db", "rb") as stdin:
        done = subprocess.run(
            ["/usr/bin/env", "python3", "main.py", *around.arguments],
            cwd=around.hand_in, stdin=stdin, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    assert "BROKE" in done.stdout, done.stderr


def test_hostile_and_good_hand_ins_side_by_side(sandbox: Sandbox) -> None:
    """One bad hand-in neither stops nor slows to death the others (GRADING 3.3 rule 9)."""
    bad = [
        Job(argv=("python3", "-c", TRY + one.code), limits=wide(**one.limits))
        for one in PROBES
        if one.name in ("a fork bomb", "a memory bomb", "endless output", "a million empty files")
    ]
    good = Job(
        argv=(
            "python3",
            "-c",
            "import os\nif not os.fork(): os._exit(0)\nos.wait()\nprint(sum(range(10**5)))",
        )
    )
    with ThreadPoolExecutor(3) as pool:
        jobs = [
            pool.submit(sandbox.run, job) for job in [bad[0], good, bad[1], good, bad[2], good, bad[3], good]
        ]
        outcomes = [job.result() for job in jobs]
    assert [one.killed_by for one in outcomes[::2]] == ["processes", "memory", "output", "disk"]
    assert [one.stdout for one in outcomes[1::2]] == [b"4999950000\n"] * 4


@pytest.mark.parametrize(
    "name",
    ["a bomb of orphans", "a memory bomb in many processes", "memory that nobody has resident", "a full disk, waiting",
     "a burner that spreads it over children which nobody waits for",
     "a daemon that outlives it and keeps its output open"],
)  # fmt: skip
def test_the_limits_hold_without_a_proc_inside(
    sandbox: Sandbox, around: Surroundings, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What containers leave: the watcher then searches the machine's processes."""
    if not isinstance(sandbox, Bwrap):
        pytest.skip("this is about bubblewrap")
    monkeypatch.setattr(sandbox, "_proc", False)
    (one,) = (one for one in PROBES if one.name == name)
    mark = Mark()
    outcome = attempt(sandbox, one, around, mark)
    assert (outcome.killed_by, outcome.exit) == (one.killed_by, one.exit), outcome.stderr[-500:]
    assert mark.processes() == []


@pytest.mark.skipif(seccomp.program() is None, reason="no filter of system calls for this kind of machine")
def test_the_filter_also_meets_the_other_ways_to_call(sandbox: Sandbox) -> None:
    """x86 has a second numbering, in which the filter's numbers would mean something else."""
    code = (
        TRY
        + """
if os.uname().machine == "x86_64":
    ctypes.set_errno(0)
    libc.syscall(0x40000000 + 39)
    print(ctypes.get_errno())
else:
    print(38)
"""
    )
    assert sandbox.run(Job(argv=("python3", "-c", code))).stdout == b"38\n"


def test_a_thread_that_ends_after_its_run_takes_nothing_along(sandbox: Sandbox) -> None:
    """bwrap dies with the thread that started it: that must be one that lives as long as the run."""
    results: list[Outcome] = []
    thread = threading.Thread(
        target=lambda: results.append(sandbox.run(Job(argv=("sh", "-c", "sleep 0.1; echo x"))))
    )
    thread.start()
    thread.join()
    assert results[0].stdout == b"x\n"
