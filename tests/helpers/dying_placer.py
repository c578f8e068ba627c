"""Replaces an assignment and kills itself, as kill -9 would, at its first rename, then at its second, and so on.

`python -m tests.helpers.dying_placer ROOT FOLDER` prints, for each moment, what was in place right after the death, and
what is after a server's start has looked after it; then "whole" when a replacement came to its end.
"""

import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ftpsvc.homework import placing
from ftpsvc.homework.catalog import Catalog, NoSuchAssignment


def _replace(root: Path, folder: Path, moment: int) -> bool:
    """Replaces in a process of its own, which does not return; returns whether that came to its end."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    rename, steps = Path.rename, itertools.count(1)

    def dying(path: Path, target: Any) -> Path:
        if next(steps) == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(path, target)

    Path.rename = dying  # type: ignore[method-assign, assignment]
    try:
        placing.place(root, folder, replace=True)
    finally:
        os._exit(0)


def _seen(root: Path) -> str:
    try:
        return Catalog(root).get("sums").title
    except NoSuchAssignment:
        return "nothing"


def main() -> None:
    """Tries each moment."""
    root, folder = Path(sys.argv[1]), Path(sys.argv[2])
    for moment in itertools.count(1):
        if _replace(root, folder, moment):
            print("whole", _seen(root))
            return
        before = _seen(root)
        placing.heal(root)
        print(f"{before}, then {_seen(root)}")


if __name__ == "__main__":
    main()
