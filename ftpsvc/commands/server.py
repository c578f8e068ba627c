"""`ftpsvc-server` with all that it has: the daemon, its commands, and homework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from ftpsvc.server import cli

if TYPE_CHECKING:
    from ftpsvc.server.extension import Extension

COMMANDS: Final = {
    "assignment": "ftpsvc.homework.commands.assignment:assignment",
    "receipts": "ftpsvc.homework.commands.receipts:receipts",
}
"""Commands beside the server's own, and where they are: each is imported when it is asked for."""


def extensions() -> Sequence[Extension]:
    """Returns what the daemon serves besides files."""
    from ftpsvc.homework.extension import Homework  # late: --help does not wait for it

    return [Homework()]


program = cli.composed(COMMANDS, extensions)


def main() -> NoReturn:
    """Is the entry point `ftpsvc-server`."""
    cli.main(program)


if __name__ == "__main__":
    main()
