"""C54: kill -9 at any moment of storing, removing and moving; then the folder is opened again."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from ftpsvc.storage.base import Digest, Durability
from ftpsvc.storage.local import LocalStorage
from tests.helpers.believing import DIRECTORY, Model
from tests.helpers.counts import count
from tests.helpers.stores import digest_of, everything, get

REPOSITORY = Path(__file__).resolve().parents[2]


def run_and_kill(root: Path, durability: Durability, chance: random.Random) -> list[str]:
    """Lets a process work, kills it at a random moment, and returns what it said."""
    command = [
        sys.executable,
        "-m",
        "tests.helpers.storing",
        str(root),
        durability.value,
        str(chance.random()),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY) as process:
        assert process.stdout
        # So many lines further, then at once: it goes on meanwhile, so it may be anywhere in a step.
        heard = [process.stdout.readline() for _ in range(chance.randrange(1, 120))]
        process.kill()
        heard += process.stdout.readlines()
    assert process.returncode == -9, "it ended by itself"
    assert heard[0] == b"ready\n"
    return [line.decode() for line in heard]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("durability", Durability)
def test_c54_after_kill_9_every_answer_holds_and_nothing_is_half(
    tmp_path: Path, durability: Durability
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    chance = random.Random(durability.value)
    model = Model()
    files = in_flight = 0
    for _ in range(count(20, 200)):
        model.believe(run_and_kill(root, durability, chance))
        in_flight += len(os.listdir(root / ".ftpsvc" / "staging"))
        storage = LocalStorage(root, durability=durability)
        assert os.listdir(root / ".ftpsvc" / "staging") == []
        found: dict[str, str | None] = {}
        for entry in everything(storage):
            path = "/" + "/".join((*entry.where, entry.name))
            if entry.kind == "dir":
                found[path] = DIRECTORY
                continue
            files += 1
            found[path] = digest_of(get(storage, path))
            assert entry.digest == Digest("blake3", str(found[path]))
        storage.close()
        for path in model.possible | found:
            assert found.get(path) in model.at(path), path
        model.settle(found)
    # It was killed in the middle of something, and there was something to lose.
    assert files > 0
    assert in_flight > 0
