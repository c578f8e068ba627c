"""After a power cut the folders above what was answered for are there as well: homes, and the root itself."""

import os
from pathlib import Path

import pytest

from ftpsvc.server import volumes
from ftpsvc.server.homes import USERS, Homes
from ftpsvc.storage.base import Durability
from tests.helpers.powercut import Recorder
from tests.helpers.replay import Writer, content


def test_c54_a_home_that_was_just_made_is_there_with_what_was_stored_in_it(tmp_path: Path) -> None:
    users = tmp_path / USERS
    users.mkdir()
    data = content(1, 1)
    with Recorder(users) as recorder:
        homes = Homes(tmp_path, durability=Durability.FULL, max_file_size=None)
        home = homes.enter("alice", None, make=True)
        Writer(recorder, home).put("/f", data)
        homes.leave(home)
        homes.close()
    recording = recorder.recording()
    answered = [cut for cut in recording.cuts() if "done" in recording.said(cut).get("one", [])]
    assert answered
    for cut in answered:
        tree = recording.least(cut)
        found = [bytes(tree.files[what].data) for path, what in tree.walk() if path == "/alice/f"]
        assert found == [data], f"a power cut after step {cut} of {len(recording.steps)}"


@pytest.mark.parametrize("there", [False, True])
def test_c54_the_name_of_the_root_is_durable_before_it_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    root = tmp_path / "a" / "b" / "root"
    if there:  # as by a server that was killed before it had synced anything
        volumes.lay_out(root, durable=False)
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    volumes.lay_out(root)
    needed = {root, root.parent} | (set() if there else {tmp_path / "a", tmp_path})
    assert {str(folder) for folder in needed} <= set(synced)
