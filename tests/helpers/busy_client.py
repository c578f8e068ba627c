"""A client that stores, replaces, moves and removes until it is killed, and says what it does before and after.

Usage: python -m tests.helpers.busy_client FOLDER SEED USER TOKEN, and one URL of a server a line on stdin.
It works in a folder of its own. Before each step it prints it (`put PATH DIGEST`, `tree PATH DIGEST ...`, `rm PATH`,
`mv PATH PATH`), `...` while content goes out, `done` once the server has answered, `failed` where it refused, and
`lost` when the connection ended: then it waits for the next URL. Each line is written in one piece.
Large contents are few and much alike, and count as large from a little size on: so they are resumed and updated by
blocks. `short` after `done` says that less was sent than was stored.
"""

import random
import sys
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from ftpsvc.exceptions import FtpsvcError, TransportError
from ftpsvc_client import Client, Credentials, Transfer, connect, delta, upload
from ftpsvc_client.watching import Unwatched
from tests.helpers.stores import digest_of
from tests.helpers.storing import say

_SIZES = (0, 1, 4096, 4096, 60_000, 300_000, 3_000_000)
_LARGE = 300_000
_TREE_FILES = 25


class _Pieces(Unwatched):
    def advance(self, count: int) -> None:
        """Says that some of the content is out."""
        say("...")


def _put_tree(client: Client, local: Path, remote: str) -> None:
    report = client.put_tree(local, remote)
    for problem in report.problems:
        raise problem.error


@cache
def _large(size: int, which: int) -> bytes:
    """Returns one of four contents: two that have nothing in common, and each with some bytes changed."""
    content = bytearray(random.Random(f"{size} {which % 2}").randbytes(size))
    if which >= 2:
        for at in (0, size // 2, size - 1):
            content[at] ^= 1
    return bytes(content)


def _next_step(client: Client, folder: str, scratch: Path, chance: random.Random) -> Callable[[], object]:
    path, other = (f"{folder}/f{chance.randrange(6)}" for _ in range(2))
    match chance.choice(["put"] * 8 + ["tree"] * 3 + ["rm", "mv", "mv", "rm tree"]):
        case "put":
            size = chance.choice(_SIZES)
            content = chance.randbytes(size) if size < _LARGE else _large(size, chance.randrange(4))
            source = scratch.with_name("content")
            source.write_bytes(content)
            say(f"put {path} {digest_of(content)}")
            return partial(client.put, source, path, progress=_Pieces())
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
    upload.WORTH_RESUMING = delta.SMALLEST = _LARGE
    with tempfile.TemporaryDirectory() as folder_of_ours:
        scratch = Path(folder_of_ours) / "tree"
        scratch.mkdir()
        for url in sys.stdin:
            try:
                with connect(url.strip(), credentials=Credentials.token(user, token)) as client:
                    client.mkdir(folder, parents=True)
                    while True:
                        step = _next_step(client, folder, scratch, chance)
                        try:
                            outcome = step()
                        except TransportError:
                            raise
                        except FtpsvcError:
                            say("failed")
                        else:
                            say("done")
                            if isinstance(outcome, Transfer) and outcome.sent < outcome.size:
                                say("short")
            except FtpsvcError:  # the connection ended, or the server refuses a new one since it is stopping
                pass
            say("lost")


if __name__ == "__main__":
    main()
