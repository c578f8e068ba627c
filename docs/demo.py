"""The main job, for real: `make demo` runs it.

Starts a daemon on a free port with a fresh root, puts a file of some hundred megabytes and the standard library of this
Python, lists, changes directory, gets everything back, compares, and stops the daemon. Each command is printed as one
would type it. Nothing is left behind.
"""

from __future__ import annotations

import filecmp
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from pathlib import Path

_LARGE = 300 << 20
_START_SECONDS = 30
_STOP_SECONDS = 60


def main() -> int:
    """Runs the demo and returns its exit code."""
    started = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="ftpsvc-demo-"))
    try:
        # The commands of this environment, and a home of their own: the demo must not meet the user's settings.
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        for name in [name for name in os.environ if name.startswith(("FTPSVC", "XDG_"))]:
            del os.environ[name]
        os.environ["HOME"] = str(work / "home")
        (work / "home").mkdir()
        os.chdir(work)
        _say("a real file and a real tree")
        size = _make_archive(Path("archive.tar"))
        library = _copy_library(Path("library"))
        print(
            f"archive.tar: {size / 2**20:.0f} MiB; library: {library} files of this Python's standard library"
        )
        _run_service()
        _say(
            f"done in {time.monotonic() - started:.0f} s: every byte came back, every digest was checked on both sides"
        )
        return 0
    except subprocess.CalledProcessError as error:
        print(f"demo: {shlex.join(error.cmd)} ended with exit code {error.returncode}", file=sys.stderr)
        return 1
    except _Failed as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        os.chdir("/")
        shutil.rmtree(work, ignore_errors=True)


class _Failed(Exception):
    """What should have held did not."""


def _run_service() -> None:
    _say("a daemon on a free port, with a fresh root, that serves one folder to guests")
    Path("shared").mkdir()
    command = [
        "ftpsvc-server", "--root", "storage", "--listen", "ftpsvc+tcp://127.0.0.1:0", "--share", "shared",
        "--guest", "write",
    ]  # fmt: skip
    _show([*command, "&"])
    daemon = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        os.environ["FTPSVC_SERVER"] = url = _address(daemon)
        print(f"$ export FTPSVC_SERVER={url}")
        _transfer()
        _say("the daemon stops cleanly")
        _show(["kill", str(daemon.pid)])
        daemon.send_signal(signal.SIGTERM)
        code = daemon.wait(_STOP_SECONDS)
        print(f"exit code {code}")
        if code:
            raise _Failed(f"the daemon ended with exit code {code}")
    finally:
        daemon.kill()
        daemon.wait()
        if daemon.stderr is not None:
            daemon.stderr.close()


def _address(daemon: subprocess.Popen[str]) -> str:
    """Returns where the daemon listens, from its line on standard error, and passes its lines on."""
    if daemon.stderr is None:
        raise _Failed("the daemon has no standard error")
    url = ""
    for line in daemon.stderr:
        sys.stderr.write(line)
        if found := re.search(r"listening on (\S+)", line):
            url = found[1]
        if "ready" in line:
            break
    if not url:
        raise _Failed("the daemon did not start")
    return url


def _transfer() -> None:
    _say("put a large file; it is visible when both sides agree on its digest, and not before")
    _ftpsvc("put", "archive.tar", "--to", "/archive.tar")
    _ftpsvc("ls", "-l", "--digests", "/")
    _say("put a tree, look around in it")
    _ftpsvc("put", "-r", "library", "--to", "/library")
    _ftpsvc("cd", "/library/json")
    _ftpsvc("pwd")
    _ftpsvc("ls", "-l")
    _ftpsvc("stat", "decoder.py")
    _ftpsvc("df")
    _say("get everything back")
    _ftpsvc("get", "/archive.tar", "--to", "back.tar")
    _ftpsvc("get", "-r", "/library", "--to", "library.back")
    _say("compare")
    _show(["cmp", "archive.tar", "back.tar"])
    if not filecmp.cmp("archive.tar", "back.tar", shallow=False):
        raise _Failed("archive.tar and back.tar differ")
    _show(["diff", "-r", "library", "library.back"])
    _compare(filecmp.dircmp("library", "library.back"))
    print("no difference")
    _ftpsvc("verify", "/archive.tar")
    _say("a file that is there already is not transferred again, and none is overwritten unasked")
    _ftpsvc("get", "/archive.tar", "--to", "back.tar")


def _compare(both: filecmp.dircmp[str]) -> None:
    if both.left_only or both.right_only or both.common_funny:
        raise _Failed(f"{both.left} and {both.right} do not have the same names")
    _, different, unreadable = filecmp.cmpfiles(both.left, both.right, both.common_files, shallow=False)
    if different or unreadable:
        raise _Failed(f"{both.left} and {both.right} differ in {', '.join(different + unreadable)}")
    for inner in both.subdirs.values():
        _compare(inner)


def _make_archive(path: Path) -> int:
    """Packs the standard library, as often as it takes to be large, and returns the size."""
    library = sysconfig.get_path("stdlib")
    with tarfile.open(path, "w") as archive:
        copy = 0
        while archive.offset < _LARGE:
            copy += 1
            archive.add(
                library, f"copy{copy}", filter=lambda entry: None if "site-packages" in entry.name else entry
            )
    return path.stat().st_size


def _copy_library(target: Path) -> int:
    shutil.copytree(
        sysconfig.get_path("stdlib"),
        target,
        ignore=shutil.ignore_patterns("site-packages", "dist-packages", "__pycache__", "test", "config-*"),
    )
    return sum(len(files) for _, _, files in os.walk(target))


def _ftpsvc(*arguments: str) -> None:
    command = ["ftpsvc", *arguments]
    _show(command)
    subprocess.run(command, check=True)


def _show(command: list[str]) -> None:
    print(f"$ {' '.join(word if word == '&' else shlex.quote(word) for word in command)}", flush=True)


def _say(text: str) -> None:
    print(f"\n# {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
