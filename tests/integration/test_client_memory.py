"""What the command holds in memory does not grow with the file, whichever way it goes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.counts import count
from tests.helpers.embedded import embedded

# A process begins with the peak of the one that started it, so a small one does, and not the one that runs the tests.
RUN = """
import os, sys
_, status, used = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
print(used.ru_maxrss)
sys.exit(status != 0)
"""


@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ru_maxrss has another unit")
def test_c52_the_client_needs_no_more_memory_for_a_large_file(tmp_path: Path) -> None:
    size = count(192 << 20, 4 << 30)
    program = shutil.which("ftpsvc", path=os.path.dirname(sys.executable)) or "ftpsvc"
    source, target = tmp_path / "source", tmp_path / "target"
    source.touch()
    os.truncate(source, size)
    with embedded(tmp_path / "root") as daemon:

        def peak(*words: str) -> int:
            done = subprocess.run(
                [sys.executable, "-c", RUN, program, "-q", "--server", str(daemon.addresses[0]), *words],
                stdout=subprocess.PIPE,
                check=True,
                text=True,
            )
            return int(done.stdout)

        assert peak("put", str(source), "--to", "/large") < 100 * 1024
        with open(source, "r+b") as changed:  # and put again, by what differs
            changed.write(b"changed")
        assert peak("put", str(source), "--to", "/large") < 100 * 1024
        assert peak("get", "/large", "--to", str(target)) < 100 * 1024
        assert target.stat().st_size == size
