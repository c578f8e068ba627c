"""A process of its own that stores, removes and moves files until it is killed, and says what it does before and after.

Usage: python -m tests.helpers.storing ROOT DURABILITY SEED
Prints `ready`, then a line before each step (`put PATH DIGEST`, `rm PATH`, `mv PATH PATH`, `mkdir PATH`), `...` while
content is written, and `done` or `failed` once the storage has answered. Each line is written in one piece.
"""

import os
import random
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ftpsvc.exceptions import FtpsvcError
from ftpsvc.storage.base import Durability, Storage
from ftpsvc.storage.local import LocalStorage
from tests.helpers.stores import at, digest_of


def say(text: str) -> None:
    """Writes a line in one piece, at once."""
    os.write(1, text.encode() + b"\n")


def put(storage: Storage, path: str, content: bytes, *, clobber: bool) -> None:
    """Stores a file, saying how it goes on."""
    with storage.create(at(path), len(content), algorithm="blake3", clobber=clobber) as upload:
        for start in range(0, len(content), 50_000):
            upload.write(content[start : start + 50_000])
            say("...")
        upload.commit(digest_of(content))


def main() -> None:
    """Works until it is killed."""
    chance = random.Random(sys.argv[3])
    storage = LocalStorage(Path(sys.argv[1]), durability=Durability(sys.argv[2]))
    say("ready")
    while True:
        folder, other = f"/d{chance.randrange(3)}", f"/d{chance.randrange(3)}"
        path, target = f"{folder}/f{chance.randrange(8)}", f"{other}/f{chance.randrange(8)}"
        step: Callable[[], object]
        match chance.choice(["put"] * 10 + ["rm", "mv", "mkdir", "mkdir", "tree"]):
            case "put":
                content = chance.randbytes(chance.choice([0, 1, 4096, 300_000]))
                say(f"put {path} {digest_of(content)}")
                step = partial(put, storage, path, content, clobber=chance.random() < 0.8)
            case "rm":
                say(f"rm {path}")
                step = partial(storage.remove, at(path))
            case "tree":
                say(f"rm {folder}")
                step = partial(storage.remove, at(folder), recursive=True)
            case "mv":
                say(f"mv {path} {target}")
                step = partial(storage.rename, at(path), at(target), clobber=chance.random() < 0.5)
            case _:
                say(f"mkdir {folder}")
                step = partial(storage.make_directory, at(folder), parents=True)
        try:
            step()
        except FtpsvcError:
            say("failed")
        else:
            say("done")


if __name__ == "__main__":
    main()
