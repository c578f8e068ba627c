"""Large files to transfer, and whether two are the same."""

import random
from pathlib import Path

MIB = 1 << 20


def fill(path: Path, size: int, seed: bytes = b"a") -> None:
    """Writes a file in which no block is like another."""
    chance = random.Random(seed)
    with path.open("wb") as file:
        for start in range(0, size, MIB):
            file.write(chance.randbytes(min(MIB, size - start)))


def same(one: Path, other: Path) -> bool:
    """Whether two files have the same content."""
    with one.open("rb") as first, other.open("rb") as second:
        while piece := first.read(MIB):
            if piece != second.read(MIB):
                return False
        return not second.read(1)
