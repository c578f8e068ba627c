"""A client that stores, replaces, moves and removes until it is killed, and says what it does before and after.

Usage: python -m tests.helpers.busy_client FOLDER SEED USER TOKEN, and one URL of a server a line on stdin.
It works in a folder of its own. Before each step it prints it (`put PATH DIGEST`, `tree PATH DIGEST ...`, `rm PATH`,
`mv PATH PATH`), `...` while content goes out, `done` once the server has answered, `failed` where it refused, and
`lost` when the connection ended: then it waits for the next URL. Each line is written in one piece.
"""

import random
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ftpsvc.exceptions import FtpsvcError, TransportError
from ftpsvc_client import Client, Credentials, connect
from ftpsvc_client.watching import Unwatched
from tests.helpers.stores import digest_of
from tests.helpers.storing import say

_SIZES = (0, 1, 4096, 4096, 60_000, 300_000, 3_000_000)
_TREE_FILES = 25


class _Pieces(Unwatched):
    def advance(self, count: int) -> None:
        """Says that some of the content is out."""
        say("...")


def _put_tree(client: Client, local: Path, remote: str) -> None:
    report = client.put_tree(local, remote)
    for problem in report.problems:
        raise problem.error


def _next_step(client: Client, folder: str, scratch: Path, chance: random.Random) -> Callable[[], object]:
    path, other = (f"{folder}/f{chance.randrange(6)}" for _ in range(2))
    match chance.choice(["put"] * 8 + ["tree"] * 3 + ["rm", "mv", "mv", "rm tree"]):
        case "put":
            content = chance.randbytes(chance.choice(_SIZES))
            say(f"put {path} {digest_of(content)}")
            return partial(client.put, content, path, progress=_Pieces())
        case "tree":
            tree = f"{folder}/t{chance.randrange(2)}"
            contents = [chance.randbytes(chance.choice((0, 100, 4096))) for _ in range(_TREE_FILES)]
            for number, content in enumerate(contents):
                (scratch / f"x{number}").write_bytes(content)
            say(f"tree {tree} {' '.join(digest_of(content) for content in contents)}")
            return partial(_put_tree, client, scratch, tree)
        case "rm":
            say(f"rm {path}")
            return partial(client.remove, path)
        case "rm tree":
            tree = f"{folder}/t{chance.randrange(2)}"
            say(f"rm {tree}")
            return partial(client.remove, tree, recursive=True)
        case _:
            say(f"mv {path} {other}")
            return partial(client.rename, path, other)


def main() -> None:
    """Works until it is killed, or told of no more servers."""
    folder, seed, user, token = sys.argv[1:]
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        for url in sys.stdin:
            try:
                with connect(url.strip(), credentials=Credentials.token(user, token)) as client:
                    client.mkdir(folder, parents=True)
                    while True:
                        step = _next_step(client, folder, Path(scratch), chance)
                        try:
                            step()
                        except TransportError:
                            raise
                        except FtpsvcError:
                            say("failed")
                        else:
                            say("done")
            except FtpsvcError:  # the connection ended, or the server refuses a new one since it is stopping
                pass
            say("lost")


if __name__ == "__main__":
    main()
