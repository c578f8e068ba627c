"""Which sandbox works here, and which of its promises are really kept: each is found by trying to break it."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from ftpsvc.homework.sandbox.base import Job, Limits, Outcome, Sandbox, SandboxError
from ftpsvc.homework.sandbox.choose import Attempt, find_python, refusal, search
from ftpsvc.text import printable

_ROOM: Final = Limits(cpu=60, wall=300, output=1 << 16, disk=4 << 20, file=1 << 20)
"""Limits wide enough for a machine that is busy; each probe narrows the one that it is about."""


@dataclass(frozen=True, slots=True)
class Cap:
    """One promise, tried.

    Attributes:
        name: A word of docs/grading.md.
        held: Whether the probe failed to break it.
        needed: Whether grading is unsafe without it.
        detail: What was seen, one line.
    """

    name: str
    held: bool
    needed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """What is in force on this machine.

    Attributes:
        sandbox: Kind and version, or None where none works.
        python: The Python that students' programs can run with inside, or None.
        runs_as: The uid outside that programs run as.
        tried: The sandboxes that were tried, the last one is the one in use.
        caps: The promises; empty without a sandbox or without a Python to try them with.
    """

    sandbox: str | None
    python: str | None
    runs_as: int | None
    tried: tuple[Attempt, ...]
    caps: tuple[Cap, ...]

    @property
    def ok(self) -> bool:
        """Whether homework can be graded here."""
        return bool(self.caps) and all(cap.held for cap in self.caps if cap.needed)

    def as_json(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        return {"ok": self.ok, **asdict(self)}

    def lines(self) -> list[str]:
        """Returns it as a table for people."""
        lines = []
        for one in self.tried:
            lines.append(
                f"{'tried' if one.reason else 'uses':8} {one.what}"
                + (f": {one.reason}" if one.reason else "")
            )
            if one.reason and one.hint:
                lines.append(f"{'hint:':8} {one.hint}")
        if self.sandbox is None:
            if not self.tried:
                lines.append(f"{'hint:':8} {refusal([]).hint}")
            return [*lines, "no sandbox works here: nothing can be graded"]
        lines.append(f"{'python':8} {self.python or 'none inside: install python3'}")
        lines.append(f"{'runs as':8} uid {self.runs_as}")
        for cap in self.caps:
            state = "held" if cap.held else "NOT HELD" if cap.needed else "no"
            lines.append(f"  {cap.name:12} {state:9} {cap.detail}")
        return [*lines, "ready to grade" if self.ok else "not fit to grade homework"]


def examine(kind: str = "auto", **options: Any) -> Report:
    """Finds out what is in force here; takes a few seconds. Options as for `choose.search`."""
    sandbox, tried = search(kind, **options)
    if sandbox is None:
        return Report(None, None, None, tuple(tried), ())
    python = find_python(sandbox)
    caps = (
        []
        if python is None
        else [_tried(name, needed, probe, sandbox, python) for name, needed, probe in PROBES]
    )
    uid = options.get("uid", 65534) if os.geteuid() == 0 else os.geteuid()
    return Report(sandbox.name, python, uid, tuple(tried), tuple(caps))


Probe = Callable[[Callable[..., Outcome]], tuple[bool, str]]


def _tried(name: str, needed: bool, probe: Probe, sandbox: Sandbox, python: str) -> Cap:
    def run(code: str, *arguments: str, **limits: float) -> Outcome:
        return sandbox.run(Job(argv=(python, "-c", code, *arguments), limits=replace(_ROOM, **limits)))  # type: ignore[arg-type]

    try:
        held, detail = probe(run)
    except SandboxError as error:
        held, detail = False, f"the sandbox failed: {error}"
    return Cap(name, held, needed, printable(detail))


def _said(outcome: Outcome) -> str:
    return outcome.stdout.decode("utf-8", "replace").strip()


def _end(outcome: Outcome) -> str:
    if outcome.killed_by:
        return f"ended for {outcome.killed_by} after {outcome.wall:.2f} s"
    return f"ended by itself with {outcome.status}"


_NET = """
import socket, sys
for family, address in (2, ("127.0.0.1", int(sys.argv[1]))), (2, ("192.0.2.1", 9)), (40, (2, 9)):
    try:
        with socket.socket(family, 1) as s:
            s.settimeout(5)
            s.connect(address)
        print("reached", address)
    except OSError:
        pass
try:
    with socket.socket(2, 2) as s:
        s.sendto(b"x", ("192.0.2.1", 9))
    print("sent a packet")
except OSError:
    pass
print("tried")
"""


def _net(run: Callable[..., Outcome]) -> tuple[bool, str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = _said(run(_NET, str(server.getsockname()[1])))
    return said == "tried", "nothing outside answers, also not this machine" if said == "tried" else said


_FILES = """
import os, sys
for path in "/", "/usr", "/etc", "/dev", "/proc", "/bin":
    try:
        open(path + "/ftpsvc-probe", "w")
        print("wrote to", path)
    except OSError:
        pass
for path in sys.argv[1], "/root", "/home", "/etc/shadow", "/var", "/sys", "/run", "/mnt":
    if os.path.exists(path):
        print("sees", path)
print("tried")
"""


def _fs(run: Callable[..., Outcome]) -> tuple[bool, str]:
    with tempfile.NamedTemporaryFile(prefix="ftpsvc-doctor-") as secret:
        os.chmod(secret.name, 0o644)
        said = _said(run(_FILES, secret.name))
    return said == "tried", "the system read-only, nothing else of the disk" if said == "tried" else said


def _env(run: Callable[..., Outcome]) -> tuple[bool, str]:
    found = _said(run("import os; print(sorted(os.environ))"))
    leaked = [name for name in os.environ if f"'{name}'" in found and name not in _OWN]
    return not leaked, f"it sees {', '.join(leaked)}" if leaked else "nothing of the grader's environment"


_OWN: Final = ("PATH", "HOME", "TMPDIR", "LANG", "PWD", "SHLVL", "LC_CTYPE")


def _ends_for(cap: str, code: str, **limits: float) -> Probe:
    def probe(run: Callable[..., Outcome]) -> tuple[bool, str]:
        outcome = run(code, **limits)
        return outcome.killed_by == cap, _end(outcome)

    return probe


def _file(run: Callable[..., Outcome]) -> tuple[bool, str]:
    outcome = run("import os\nf = open('x', 'wb')\ntry:\n  f.write(bytes(2 << 20)); f.flush()\nexcept OSError: pass\n"
                  "print(os.stat('x').st_size)")  # fmt: skip
    size = int(_said(outcome)) if _said(outcome).isdigit() else None
    held = (size is not None and size <= _ROOM.file) or outcome.killed_by == "disk"
    return held, f"a file grew to {size} bytes" if size is not None else _end(outcome)


_ORPHAN: Final = """
import subprocess, sys
quiet = {"stdin": -3, "stdout": -3, "stderr": -3}
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]], start_new_session=True, **quiet)
"""


def _orphans(run: Callable[..., Outcome]) -> tuple[bool, str]:
    mark = f"ftpsvc-doctor-{secrets.token_hex(8)}"
    outcome = run(_ORPHAN, mark)
    left = [pid for pid in os.listdir("/proc") if pid.isdigit() and _named(pid, mark)]
    held = not left and outcome.exit == 0
    return (
        held,
        "none left of a program that went to the background"
        if held
        else f"{len(left)} left; {_end(outcome)}",
    )


def _named(pid: str, mark: str) -> bool:
    try:
        return mark.encode() in Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return False


def _privileges(run: Callable[..., Outcome]) -> tuple[bool, str]:
    said = _said(run(
        "import ctypes, os\nc = ctypes.CDLL(None)\n"
        "print(os.getuid(), c.unshare(0x10000000), c.setuid(0), c.mount(b'x', b'/tmp', b'tmpfs', 0, None))"
    ))  # fmt: skip
    return (
        said == "65534 -1 -1 -1",
        "none, and no way to a new user namespace" if said == "65534 -1 -1 -1" else said,
    )


def _syscalls(run: Callable[..., Outcome]) -> tuple[bool, str]:
    said = _said(run(
        "import ctypes\nc = ctypes.CDLL(None)\n"
        "print(c.shmget(0, 4096, 0o1600), c.ptrace(0, 0, 0, 0), c.syscall(425, 1, 0), c.socket(40, 1, 0))"
    ))  # fmt: skip
    held = said == "-1 -1 -1 -1"
    return held, "what no homework needs is refused" if held else f"no filter: {said}"


def _proc(run: Callable[..., Outcome]) -> tuple[bool, str]:
    said = _said(run("import os; print(len([p for p in os.listdir('/proc') if p.isdigit()]))"))
    return said not in ("", "0"), "its own processes only" if said not in (
        "",
        "0",
    ) else "there is none inside"


PROBES: Final[tuple[tuple[str, bool, Probe], ...]] = (
    ("net", True, _net),
    ("fs", True, _fs),
    ("env", True, _env),
    ("cpu", True, _ends_for("cpu", "while True: pass", cpu=0.2)),
    ("wall", True, _ends_for("wall", "import time; time.sleep(600)", wall=0.2)),
    ("memory", True, _ends_for("memory", "x = []\nwhile True: x.append(bytearray(1 << 20))", memory=64 << 20)),
    ("processes", True, _ends_for(
        "processes", "import os, time\nwhile True:\n  try:\n    if not os.fork(): time.sleep(600)\n"
        "  except OSError: time.sleep(600)", processes=8)),
    ("output", True, _ends_for("output", "while True: print('x' * 1000)")),
    ("file", True, _file),
    ("disk", True, _ends_for(
        "disk", "import itertools, time\nfor i in itertools.count():\n  try: open(str(i), 'wb').write(bytes(1 << 19))\n"
        "  except OSError: time.sleep(600)", disk=2 << 20)),
    ("files", True, _ends_for(
        "disk", "import itertools, time\nfor i in itertools.count():\n  try: open(str(i), 'wb').close()\n"
        "  except OSError: time.sleep(600)", disk=1 << 20)),
    ("orphans", True, _orphans),
    ("privileges", True, _privileges),
    ("syscalls", False, _syscalls),
    ("proc", False, _proc),
)  # fmt: skip
"""Name, whether it is needed, and the probe of each promise."""
