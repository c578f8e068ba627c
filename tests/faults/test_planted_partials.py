"""Notes of partials that somebody wrote into his home by hand harm nobody else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ftpsvc.paths import RemotePath
from ftpsvc.server.homes import Homes
from ftpsvc.storage.base import Durability
from ftpsvc.storage.partials import partial_name

GOOD = {"path": "/f", "owner": "ann", "durable": 1, "boot": ""}
NOTES = {
    "leaves the root": json.dumps(GOOD | {"path": "/../../bob/f"}),
    "no path": json.dumps(GOOD | {"path": ""}),
    "half a pair": json.dumps(GOOD | {"owner": "\ud800"}),
    "numbers": json.dumps(GOOD | {"path": 7, "owner": []}),
    "nested": "[" * 65536,
    "digits": '{"path": "/f", "owner": "ann", "boot": "", "durable": ' + "9" * 5000 + "}",
    "of another name": json.dumps(GOOD | {"path": "/other"}),
}


def plant(home: Path, note: str, name: bytes) -> Path:
    folder = home / ".ftpsvc/partials"
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / os.fsdecode(name)
    partial.write_bytes(b"x")
    partial.with_name(f"{partial.name}.json").write_text(note)
    os.utime(partial, (1, 1))
    return partial


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
@pytest.mark.parametrize("opened", [False, True])
def test_c20_a_planted_note_stops_neither_its_home_nor_the_sweeping_of_others(
    note: str, opened: bool, tmp_path: Path
) -> None:
    names = ("ann", "bob", "zoe")
    homes = Homes(tmp_path, durability=Durability.RELAXED, max_file_size=None)
    name = partial_name(RemotePath(("f",)), "ann")
    for user in names:
        (tmp_path / "users" / user).mkdir(parents=True)
    old = {
        user: plant(
            tmp_path / "users" / user,
            json.dumps(GOOD | {"owner": user}),
            partial_name(RemotePath(("f",)), user),
        )
        for user in ("bob", "zoe")
    }
    if opened:
        homes.leave(homes.enter("ann", None))
    plant(tmp_path / "users/ann", note, name)
    assert homes.expire(10.0) == 2
    assert not any(path.exists() for path in old.values())
    homes.leave(homes.enter("ann", 10))
    homes.close()
