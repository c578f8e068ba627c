"""Profiles and remembered directories on a disk that is damaged, shared, or Windows'."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from ftpsvc.exceptions import ConfigError
from ftpsvc_client import smallfiles
from ftpsvc_client.profiles import Directories, Profile, Profiles, Target, choose

URL = "ftpsvc+tcp://127.0.0.1:9021"


def test_what_is_written_is_its_owners_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "file.json"
    smallfiles.write(str(path), {"name": "课堂", "bad": "\udcff"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["file.json"]
    assert smallfiles.read(str(path), hint="") == {"name": "课堂", "bad": "\udcff"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a": 1}' * 2])
def test_damage_names_the_file_and_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        smallfiles.read(str(path), hint="do this")
    assert str(path) in str(caught.value)
    assert caught.value.hint == "do this"


@pytest.mark.parametrize("value", [{}, {"directory": 3}, {"directory": ""}, {"directory": "relative"}])
def test_a_directory_of_the_wrong_kind_is_damage(tmp_path: Path, value: dict[str, object]) -> None:
    directories = Directories(str(tmp_path))
    directories.set(Target(URL), "/d")
    (file,) = (tmp_path / "directories").iterdir()
    file.write_text(json.dumps(value))
    with pytest.raises(ConfigError, match="damaged"):
        directories.get(Target(URL))
    directories.set(Target(URL), "/e")
    assert directories.get(Target(URL)) == "/e"


def test_a_place_that_cannot_be_written_or_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be written"):
        smallfiles.write(str(tmp_path / "file" / "x"), {})
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        smallfiles.write(str(tmp_path / "folder"), {})
    with pytest.raises(ConfigError, match="cannot be read"):
        smallfiles.read(str(tmp_path / "folder"), hint="")
    with pytest.raises(ConfigError, match="cannot be removed"):
        smallfiles.remove(str(tmp_path / "folder"))
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_writers_at_once_leave_the_whole_of_one(tmp_path: Path) -> None:
    directories = Directories(str(tmp_path))
    paths = [f"/{number}" * 100 for number in range(8)]

    def write(path: str) -> None:
        for _ in range(20):
            directories.set(Target(URL), path)
            assert directories.get(Target(URL)) in paths

    threads = [threading.Thread(target=write, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert directories.get(Target(URL)) in paths
    assert len(list((tmp_path / "directories").iterdir())) == 1


def test_windows_may_refuse_to_replace_while_somebody_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, refusals = os.replace, [PermissionError("in use")] * 3

    def replace(source: str, target: str) -> None:
        if refusals:
            raise refusals.pop()
        really(source, target)

    path = str(tmp_path / "file.json")
    smallfiles.write(path, {"a": 1})
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(ConfigError):
        smallfiles.write(path, {"a": 2})  # elsewhere that is no passing matter
    refusals[:] = [PermissionError("in use")] * 3
    monkeypatch.setattr(os, "name", "nt")
    smallfiles.write(path, {"a": 3})
    refusals[:] = [PermissionError("for ever")] * 1000
    with pytest.raises(ConfigError):
        smallfiles.write(path, {"a": 4})
    monkeypatch.undo()
    assert smallfiles.read(path, hint="") == {"a": 3}
    assert os.listdir(tmp_path) == ["file.json"]


def test_profiles(tmp_path: Path) -> None:
    profiles = Profiles(str(tmp_path))
    assert profiles.default() is None
    assert profiles.add("Lab", URL + "/") is True
    assert profiles.add("other", "ftpsvc+unix:///run/x") is False
    assert profiles.get("lab") == Profile("Lab", URL)
    assert profiles.default() == Profile("Lab", URL)
    with pytest.raises(ConfigError, match="already"):
        profiles.add("LAB", URL)
    profiles.use("other")
    (tmp_path / "profiles" / "broken.json").write_text("{")
    found, errors = profiles.all()
    assert [profile.name for profile in found] == ["Lab", "other"]
    assert len(errors) == 1
    profiles.remove("broken")
    profiles.remove("OTHER")
    assert profiles.default() is None
    with pytest.raises(ConfigError):
        profiles.remove("other")
    profiles.use("lab")
    (tmp_path / "profiles" / "lab.json").unlink()
    with pytest.raises(ConfigError):
        profiles.default()


def test_which_server_is_meant(tmp_path: Path) -> None:
    profiles = Profiles(str(tmp_path))
    with pytest.raises(ConfigError, match="no server given") as caught:
        choose(None, profiles)
    assert caught.value.hint
    with pytest.raises(ConfigError, match="no URL"):
        choose("127.0.0.1:9021", profiles)
    assert choose("ftpsvc+tcp://LOCALHOST", profiles) == Target("ftpsvc+tcp://localhost:9021")
    profiles.add("lab", URL)
    assert choose(None, profiles) == Target(URL, "lab")
    assert choose("LAB", profiles) == Target(URL, "lab")
    with pytest.raises(ConfigError, match="no profile"):
        choose("nope", profiles)
