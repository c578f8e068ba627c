"""The command `ftpsvc-server` run to its end inside the test's own process: what it says and answers, without a start.

A start costs half a second of processor time. What is about the process itself (signals, a daemon that serves, what is
imported) is tested with tests/helpers/daemon.py.
"""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess

import pytest

from ftpsvc.server.cli import main


def operated(*arguments: str, **environment: str) -> CompletedProcess[str]:
    """Runs the command and returns what became of it, whatever that is.

    Args:
        arguments: What stands behind `ftpsvc-server`.
        environment: Further variables for it.
    """
    said, complained = io.BytesIO(), io.BytesIO()
    out = io.TextIOWrapper(said, "utf-8")
    err = io.TextIOWrapper(complained, "utf-8", "backslashreplace")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["ftpsvc-server", *arguments])
        for name, value in environment.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as end:
            main()
    out.flush()
    err.flush()
    code = end.value.code
    return CompletedProcess(
        arguments,
        code if isinstance(code, int) else 0,
        said.getvalue().decode(),
        complained.getvalue().decode(),
    )
