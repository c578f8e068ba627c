"""What a test may do on this machine, and being somebody with fewer rights for a while."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534


def needs_root() -> None:
    """Skips the test where it does not run as root."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root may do this")


@contextmanager
def unprivileged(*owned: Path) -> Iterator[None]:
    """Gives up root's rights inside the block (does nothing for anybody else), after handing over `owned`."""
    if os.geteuid() != 0:
        yield
        return
    for top in owned:
        for path in (top, *top.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@contextmanager
def mounted(place: Path, kind: str, options: str = "", source: str = "none") -> Iterator[None]:
    """Mounts a file system while the block runs; skips the test where that is not permitted.

    Args:
        place: An existing directory (or file, for a bind mount).
        kind: `tmpfs`, `ramfs`, or `bind`.
        options: As for mount -o.
        source: What is mounted, for `bind`.
    """
    needs_root()
    how = (
        ["--bind", source] if kind == "bind" else ["-t", kind, *(["-o", options] if options else []), source]
    )
    made = subprocess.run(["mount", *how, str(place)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"NOT TESTED: mounting {kind} is not permitted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        # MNT_DETACH: a test that failed may still have something open there.
        if ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(place), 2) != 0:
            raise OSError(ctypes.get_errno(), f"cannot unmount {place}")
