"""`ftpsvc-server user ...` and `token ...` as a program of its own: `python -m tests.helpers.operator user list`.

With KILL_AT=N in the environment it kills itself, as kill -9 would, at the Nth step of its database: before a statement
or commit, or after a commit.
"""

import itertools
import os
import signal

import click
from sqlalchemy import Engine, Pool, event

from ftpsvc.accounts.cli import token, user


@click.group()
def main() -> None:
    """Stands in for the command that the groups are attached to."""


main.add_command(user)
main.add_command(token)


def _die_at(number: int) -> None:
    steps = itertools.count(1)

    def step(*_: object) -> None:
        if next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", step)
    event.listen(Engine, "commit", step)
    event.listen(Pool, "checkin", step)


if __name__ == "__main__":
    if "KILL_AT" in os.environ:
        _die_at(int(os.environ["KILL_AT"]))
    main(prog_name="ftpsvc-server")
