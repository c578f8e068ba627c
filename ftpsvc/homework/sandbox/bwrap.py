"""The sandbox by bubblewrap: namespaces, resource limits, a filter of system calls, and the watcher beside it.

In the order in which a job passes through it: the grader opens the job's files; bwrap, as an unprivileged uid, builds
the namespaces; inside, `GATE` sets the limits, reports, and waits for the word to go (`running`); then it becomes the
program. A grader that dies before the word leaves a gate that ends, one that dies later leaves a bwrap that the kernel
kills.
"""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from ftpsvc.homework.sandbox import inputs as inputs_module
from ftpsvc.homework.sandbox import seccomp
from ftpsvc.homework.sandbox.base import BOX, Job, Limits, Outcome, SandboxError
from ftpsvc.homework.sandbox.inputs import Inputs
from ftpsvc.homework.sandbox.running import Ends, Run
from ftpsvc.text import printable

NOBODY: Final = 65534
"""The uid and gid inside; and outside, where the grader is root and names no other."""

_SHM: Final = 16 << 20
_SPARE_PROCESSES: Final = 8
_SHM_FOLDER, _TMP = "/dev/shm", "/tmp"  # noqa: S108 -- names inside the sandbox
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"

# $1 and $2: descriptors to report on and to wait at; $3: options of ulimit; then the program. A limit that cannot be
# set ends the gate before it reports, so it is the sandbox's failure. bash, because sh has no descriptors above 9.
GATE: Final = r"""
report=$1 go=$2 limits=$3; shift 3
for limit in $limits; do ulimit "-${limit%%=*}" "${limit#*=}" || exit 125; done
printf r >&"$report" && IFS= read -r -n 1 word <&"$go" || exit 125
exec {report}>&- {go}<&-
unset report go limits limit word OLDPWD _
exec -- "$@"
"""
"""What runs before a program; its text is also what tells our sandboxes from others in a list of processes."""

_ETC: Final = (
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
)
_PASSWD: Final = f"student:x:{NOBODY}:{NOBODY}:student:{BOX}:/bin/sh\n".encode()
_GROUP: Final = f"student:x:{NOBODY}:\n".encode()


class Bwrap:
    """A sandbox made by bubblewrap (the contract: base.Sandbox).

    Args:
        program: The bwrap to run.
        version: What it says of itself.
        uid: Who to become before anything runs, where the grader is root; ignored otherwise.
        gid: That user's group.
        proc: Whether there is a /proc inside. Containers may forbid it; most programs do without.
    """

    def __init__(
        self, program: str, version: str, *, uid: int = NOBODY, gid: int = NOBODY, proc: bool = True
    ) -> None:
        if uid == 0:
            raise ValueError("a sandbox is not started as root: limits on processes do not bind it")
        self._program = program
        self._version = version
        self._drop: dict[str, Any] = (
            {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}
        )
        self._proc = proc
        self._filter = seccomp.program()

    @property
    def name(self) -> str:
        """Kind and version."""
        return f"bwrap {self._version}"

    @property
    def caps(self) -> tuple[str, ...]:
        """What it is built to hold."""
        filtered = ("syscalls",) if self._filter else ()
        return ("net", "fs", "cpu", "wall", "memory", "processes", "output", "file", "disk", *filtered)

    def run(self, job: Job) -> Outcome:
        _check(job)
        with ExitStack() as stack:
            given = stack.enter_context(inputs_module.opened(job.folder, job.files, job.stdin))
            return Run(self._start(job, given, stack), job, given, stack).to_its_end()

    def _start(self, job: Job, given: Inputs, stack: ExitStack) -> Ends:
        """Starts bwrap; its own ends of the pipes are closed here again."""
        with ExitStack() as theirs:
            ends = Ends()
            child: dict[str, int] = {}
            for name, reading in (
                ("out", True),
                ("err", True),
                ("report", True),
                ("go", False),
            ):
                read, write = os.pipe2(os.O_CLOEXEC)
                ours, other = (read, write) if reading else (write, read)
                ends.pipes[name] = ours
                stack.callback(ends.close, name)
                child[name] = other
                theirs.callback(os.close, other)
            # A file, no pipe: bwrap would die of a grader's closed pipe between making its child and letting it go.
            ends.info = child["info"] = os.memfd_create("info", os.MFD_CLOEXEC)
            stack.callback(os.close, ends.info)
            extra = self._extra(theirs)
            arguments = self._arguments(job, given, child, extra)
            passed = [*given.descriptors, *extra.values(), child["info"], child["report"], child["go"]]
            try:
                ends.process = subprocess.Popen(
                    arguments,
                    stdin=given.stdin,
                    stdout=child["out"],
                    stderr=child["err"],
                    pass_fds=passed,
                    env={},
                    cwd="/",
                    **self._drop,
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise SandboxError(
                    f"cannot start {printable(self._program)}: {printable(str(error))}",
                    hint=_not_started(error),
                ) from error
        return ends

    def _extra(self, stack: ExitStack) -> dict[str, int]:
        """Returns descriptors of what every sandbox is given."""
        made: dict[str, int] = {}
        contents = {"passwd": _PASSWD, "group": _GROUP, **({"filter": self._filter} if self._filter else {})}
        for name, content in contents.items():
            read, write = os.pipe2(os.O_CLOEXEC)
            stack.callback(os.close, read)
            with open(write, "wb") as file:  # far less than a pipe holds
                file.write(content)
            made[name] = read
        return made

    def _arguments(self, job: Job, given: Inputs, child: dict[str, int], extra: dict[str, int]) -> list[str]:
        limits = job.limits
        line = [
            self._program, "--unshare-user", "--unshare-all", "--disable-userns", "--die-with-parent", "--new-session",
            "--clearenv", "--cap-drop", "ALL", "--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "sandbox",
            "--info-fd", str(child["info"]), *_system(),
        ]  # fmt: skip
        line += ["--perms", "0644", "--ro-bind-data", str(extra["passwd"]), "/etc/passwd"]
        line += ["--perms", "0644", "--ro-bind-data", str(extra["group"]), "/etc/group"]
        if self._proc:
            # What is hidden is the sandbox's own first process: whoever may write to its memory could have it outlive
            # the grader.
            line += ["--proc", "/proc", "--size", "4096", "--tmpfs", "/proc/1", "--remount-ro", "/proc/1"]
        else:
            line += ["--dir", "/proc"]
        line += [
            "--dev",
            "/dev",
            "--size",
            str(min(limits.disk, _SHM)),
            "--perms",
            "1777",
            "--tmpfs",
            _SHM_FOLDER,
        ]
        line += ["--remount-ro", "/dev", "--size", str(limits.disk), "--perms", "1777", "--tmpfs", _TMP]
        for path in job.mounts:
            line += ["--ro-bind", str(path), str(path)]
        # Without a size of its own the box is part of the root, which is made read-only below.
        line += (
            ["--size", str(limits.disk + _stored(given)), "--tmpfs", BOX] if job.writable else ["--dir", BOX]
        )
        for name in given.folders:
            line += ["--perms", "0755", "--dir", f"{BOX}/{name}"]
        for name, descriptor, executable in given.copies:
            line += ["--perms", "0755" if executable else "0644", "--file", str(descriptor), f"{BOX}/{name}"]
        for name, descriptor in given.fixed:
            line += ["--perms", "0644", "--ro-bind-data", str(descriptor), f"{BOX}/{name}"]
        environment = {
            "PATH": _PATH, "HOME": BOX if job.writable else _TMP, "TMPDIR": _TMP, "LANG": "C.UTF-8", **job.env
        }  # fmt: skip
        for name, value in environment.items():
            line += ["--setenv", name, value]
        if "filter" in extra:
            line += ["--seccomp", str(extra["filter"])]
        line += [
            "--remount-ro",
            "/",
            "--chdir",
            BOX,
            "--",
            "/bin/bash",
            "--norc",
            "--noprofile",
            "-c",
            GATE,
            "sandbox",
        ]
        return [*line, str(child["report"]), str(child["go"]), " ".join(_limits(limits)), *job.argv]


def _check(job: Job) -> None:
    if not job.argv:
        raise ValueError("a job needs a program")
    for text in (*job.argv, *job.env, *job.env.values()):
        if "\0" in text:
            raise ValueError(f"NUL in {text!r}")
    for name in job.env:
        if not name or "=" in name:
            raise ValueError(f"{name!r} is no name of a variable")


def _not_started(error: Exception) -> str | None:
    """Returns what helps against the usual reasons for which bwrap does not even start."""
    number = getattr(error, "errno", None)
    if number == errno.EPERM:
        return "the grader is root and may not become another user here: start it as an ordinary user"
    return "the user that the sandbox runs as has no way to it" if number == errno.EACCES else None


def _stored(given: Inputs) -> int:
    """Returns what the hand-in takes of the box: whole pages."""
    return given.size + 4096 * (len(given.copies) + len(given.fixed) + len(given.folders) + 1)


def _system() -> list[str]:
    """Returns the options that show the system's programs and libraries."""
    line = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            line += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            line += ["--ro-bind", str(path), str(path)]
    line += ["--perms", "0755", "--dir", "/etc"]
    for etc in _ETC:
        line += ["--ro-bind-try", etc, etc]
    return line


def _limits(limits: Limits) -> list[str]:
    """Returns the limits of each process as options of bash's ulimit: behind the watcher, for when it comes late."""
    kib = 1024
    wanted: list[tuple[str, int, int, int]] = [  # option, resource, value, unit
        ("t", resource.RLIMIT_CPU, int(limits.cpu) + 2, 1),
        # Private memory that can be written, and addresses: runtimes reserve far more of these than they ever use.
        ("d", resource.RLIMIT_DATA, 2 * limits.memory + (256 << 20), kib),
        ("v", resource.RLIMIT_AS, max(4 * limits.memory, 4 << 30), kib),
        ("u", resource.RLIMIT_NPROC, limits.processes + _SPARE_PROCESSES, 1),
        ("f", resource.RLIMIT_FSIZE, limits.file, kib),
        ("n", resource.RLIMIT_NOFILE, 256, 1),
        ("c", resource.RLIMIT_CORE, 0, kib),
        ("l", resource.RLIMIT_MEMLOCK, 64 << 10, kib),
        ("q", resource.RLIMIT_MSGQUEUE, 0, 1),
        ("i", resource.RLIMIT_SIGPENDING, 1024, 1),
    ]
    options = []
    for option, which, value, unit in wanted:
        hard = resource.getrlimit(which)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        options.append(f"{option}={-(-value // unit) if value < unit else value // unit}")
    return options
