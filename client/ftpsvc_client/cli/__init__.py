"""The command `ftpsvc`: thin, from arguments to the Python API to lines of text. docs/cli.md is its page.

`main` is all that is loaded before anything is known, so that `ftpsvc --version` does not wait for a protocol.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command line of this process, and ends the process with its exit code."""
    import gc

    # Start-up is most of what a short command costs (docs/design.md, "Start-up"). Nothing that imports make is garbage,
    # so looking for some is wasted; and a process that has flushed and closed everything need not be taken apart
    # object by object.
    gc.disable()
    try:
        from ftpsvc_client.cli.run import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before anything had begun, or once more while saying goodbye
        code = 130
    os._exit(code)
