"""The main job, for real: `make demo` runs it.

Starts a daemon on a free port with a fresh root, puts a file of some hundred megabytes and the standard library of this
Python, lists, changes directory, gets everything back, compares, and stops the daemon. Then a second daemon takes
homework (`demo_homework`). Each command is printed as one would type it. Nothing is left behind.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from pathlib import Path

import demo_homework
from demo_show import Failed, daemon, ftpsvc, say, show, use_server


def main() -> int:
    """Runs the demo and returns its exit code."""
    parser = argparse.ArgumentParser(description="Shows the main job of ftpsvc.")
    parser.add_argument("--megabytes", type=int, default=300, help="size of the large file")
    large = parser.parse_args().megabytes << 20
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
        say("a real file and a real tree")
        size = _make_archive(Path("archive.tar"), large)
        library = _copy_library(Path("library"))
        print(
            f"archive.tar: {size / 2**20:.0f} MiB; library: {library} files of this Python's standard library"
        )
        _run_service()
        demo_homework.run()
        say(
            f"done in {time.monotonic() - started:.0f} s: every byte came back, every digest was checked on both sides"
        )
        return 0
    except subprocess.CalledProcessError as error:
        print(f"demo: {shlex.join(error.cmd)} ended with exit code {error.returncode}", file=sys.stderr)
        return 1
    except Failed as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        return 130
    finally:
        os.chdir("/")
        _remove(work)


def _remove(folder: Path) -> None:
    """Removes everything, also what was handed in, whose folders nobody may write to."""
    for inner, _, _ in os.walk(folder):
        os.chmod(inner, 0o700)
    shutil.rmtree(folder)


def _run_service() -> None:
    say("a daemon on a free port, with a fresh root, that serves one folder to guests")
    Path("shared").mkdir()
    with daemon([
        "ftpsvc-server", "--root", "storage", "--listen", "ftpsvc+tcp://127.0.0.1:0", "--share", "shared",
        "--guest", "write",
    ]) as lines:  # fmt: skip
        use_server(lines)
        _transfer()


def _transfer() -> None:
    say("put a large file; it is visible when both sides agree on its digest, and not before")
    ftpsvc("put", "archive.tar", "--to", "/archive.tar")
    ftpsvc("ls", "-l", "--digests", "/")
    say("put a tree, look around in it")
    ftpsvc("put", "-r", "library", "--to", "/library")
    ftpsvc("cd", "/library/json")
    ftpsvc("pwd")
    ftpsvc("ls", "-l")
    ftpsvc("stat", "decoder.py")
    ftpsvc("df")
    say("get everything back")
    ftpsvc("get", "/archive.tar", "--to", "back.tar")
    ftpsvc("get", "-r", "/library", "--to", "library.back")
    say("compare")
    show(["cmp", "archive.tar", "back.tar"])
    if not filecmp.cmp("archive.tar", "back.tar", shallow=False):
        raise Failed("archive.tar and back.tar differ")
    show(["diff", "-r", "library", "library.back"])
    _compare(filecmp.dircmp("library", "library.back"))
    print("no difference")
    ftpsvc("verify", "/archive.tar")
    say("a file that is there already is not transferred again, and none is overwritten unasked")
    ftpsvc("get", "/archive.tar", "--to", "back.tar")


def _compare(both: filecmp.dircmp[str]) -> None:
    if both.left_only or both.right_only or both.common_funny:
        raise Failed(f"{both.left} and {both.right} do not have the same names")
    _, different, unreadable = filecmp.cmpfiles(both.left, both.right, both.common_files, shallow=False)
    if different or unreadable:
        raise Failed(f"{both.left} and {both.right} differ in {', '.join(different + unreadable)}")
    for inner in both.subdirs.values():
        _compare(inner)


def _make_archive(path: Path, large: int) -> int:
    """Packs the standard library, as often as it takes to be so large, and returns the size."""
    library = sysconfig.get_path("stdlib")
    with tarfile.open(path, "w") as archive:
        copy = 0
        while archive.offset < large:
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


if __name__ == "__main__":
    sys.exit(main())
