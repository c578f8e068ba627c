"""Downloads long enough for a second thread (ftpsvc_client.behind): what fails there fails as it does in one thread."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ftpsvc_client import connect
from ftpsvc_client.watching import Unwatched
from tests.helpers.embedded import embedded

MIB = 1 << 20

LIMITED = """
import resource, sys, threading
from pathlib import Path
from ftpsvc.exceptions import FtpsvcError
from ftpsvc_client import connect
url, folder = sys.argv[1], Path(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, 20_000_000))
with connect(url, directory="/d") as client:
    try:
        client.get("large", folder / "got")
    except FtpsvcError as problem:
        print(type(problem).__name__)
    assert threading.active_count() == 1
    assert client.pwd() == "/d" and len(client.list()) == 1
    print(client.get("/small", folder / "small").size)
"""


@pytest.mark.parametrize(
    "size", [24 * MIB, 100 * MIB], ids=["the rest is read", "the rest costs the connection"]
)
def test_c54_a_disk_that_takes_no_more_leaves_no_file_and_the_client_goes_on(
    tmp_path: Path, size: int
) -> None:
    public = tmp_path / "root" / "public"
    with embedded(tmp_path / "root") as daemon:
        with connect(str(daemon.addresses[0])) as client:
            client.mkdir("/d")
            client.put(bytes(1000), "/small")
        with open(public / "d" / "large", "wb") as file:
            file.truncate(size)
        local = tmp_path / "local"
        local.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, str(daemon.addresses[0]), str(local)],
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.split() == ["Unavailable", "1000"]
        assert os.listdir(local) == ["small"]


def test_c54_ctrl_c_leaves_no_thread_and_what_it_leaves_of_the_file_is_gone_on_with(tmp_path: Path) -> None:
    class Interrupting(Unwatched):
        def advance(self, count: int) -> None:
            raise KeyboardInterrupt

    local = tmp_path / "local"
    local.mkdir()
    with embedded(tmp_path / "root") as daemon, connect(str(daemon.addresses[0])) as client:
        with open(tmp_path / "root" / "public" / "large", "wb") as file:
            file.truncate(100 * MIB)
        with pytest.raises(KeyboardInterrupt):
            client.get("/large", local / "got", progress=Interrupting())
        assert not [thread for thread in threading.enumerate() if thread.name == "ftpsvc-behind"]
        assert "got" not in os.listdir(local)
        assert client.get("/large", local / "got").size == 100 * MIB
    assert (local / "got").read_bytes() == bytes(100 * MIB)
    assert os.listdir(local) == ["got"]


def test_a_large_file_is_told_of_piece_by_piece_and_is_what_was_stored(tmp_path: Path) -> None:
    class Counting(Unwatched):
        def __init__(self) -> None:
            self.told: list[int] = []

        def advance(self, count: int) -> None:
            self.told.append(count)

    content = os.urandom(12 * MIB + 5)
    watcher = Counting()
    with embedded(tmp_path / "root") as daemon, connect(str(daemon.addresses[0])) as client:
        stored = client.put(content, "/large")
        fetched = client.get("/large", tmp_path / "got", progress=watcher)
        assert fetched.digest == stored.digest
    assert (tmp_path / "got").read_bytes() == content
    assert sum(watcher.told) == len(content)
    assert len(watcher.told) > 12
