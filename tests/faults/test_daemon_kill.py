"""C54: kill -9 of the daemon and of its clients at any moment, while clients store, replace, move and remove.

They store single files, trees whose files are committed together, large files that are resumed, and updates by blocks.
"""

import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ftpsvc.accounts.quota import recount
from ftpsvc.confine import open_root
from ftpsvc.credentials import Credentials, token_text
from ftpsvc.server.check import check
from ftpsvc.storage.base import Durability
from ftpsvc_client import connect
from tests.helpers.believing import DIRECTORY, Model
from tests.helpers.counts import count, full
from tests.helpers.daemon import GUARD, ServerProcess, server
from tests.helpers.stores import digest_of
from tests.helpers.users import add_user

REPOSITORY = Path(__file__).resolve().parents[2]
USER = "alice"
QUOTA = 40 << 20
CLIENTS = 3
MOMENTS = 400
"""How far into a round the daemon's own end lies at most: a `put` of a small file has some twenty moments."""


class Worker:
    """A client process with a folder of its own, and what may be in that folder.

    Attributes:
        model: What may be there.
        short: How many uploads sent less than they stored: resumed ones, and updates by blocks.
        process: The process, or None between two.
    """

    def __init__(self, folder: str, credentials: Credentials, seed: str) -> None:
        self.folder = folder
        self.model = Model()
        self.short = 0
        self.process: subprocess.Popen[str] | None = None
        self._credentials = credentials
        self._seed = seed
        self._born = 0
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._reader: threading.Thread | None = None
        self._ended = False

    def go(self, url: str) -> None:
        """Starts working with a server."""
        if self.process is None:
            self._start()
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(url + "\n")
        self.process.stdin.flush()

    def _start(self) -> None:
        token = token_text(self._credentials.name.token_id or "", self._credentials.secret)
        seed = f"{self._seed} {self._born}"
        command = [sys.executable, "-m", "tests.helpers.busy_client", self.folder, seed, USER, token]
        self._born += 1
        self._ended = False
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,))
        self._reader.start()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def hear(self, lines: int) -> None:
        """Waits until it has said so much more, or has lost its server."""
        with self._changed:
            wanted = len(self._lines) + lines
            assert self._changed.wait_for(
                lambda: len(self._lines) >= wanted or "lost" in self._lines[-1:] or self._ended, GUARD
            )

    def lose(self) -> None:
        """Waits until it has noticed that its server is gone (or was killed), and believes what it said."""
        with self._changed:
            assert self._changed.wait_for(lambda: "lost" in self._lines[-1:] or self._ended, GUARD)
            assert not self._ended or self.process is None, "a client ended by itself"
            self.model.believe(self._lines)
            self.short += self._lines.count("short")
            self._lines.clear()

    def kill(self) -> None:
        """Kills it; `go` starts another one."""
        process, self.process = self.process, None
        if process is None:
            return
        process.kill()
        assert process.wait(GUARD) == -9
        if self._reader is not None:
            self._reader.join()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def killing(workers: list[Worker]) -> Iterator[None]:
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()


def end_somehow(running: ServerProcess, workers: list[Worker], wish: Path, chance: random.Random) -> str:
    """Ends the server: from outside after a client said so many lines, by itself at some call, or politely after a
    client was killed. Returns which."""
    how = chance.choice(["outside", "inside", "inside", "client"])
    match how:
        case "inside":
            wish.write_text(str(chance.randrange(1, MOMENTS)))
            assert running.end() == -9
        case "outside":
            chance.choice(workers).hear(chance.randrange(1, 40))
            running.kill()
        case _:
            victim = chance.choice(workers)
            victim.hear(chance.randrange(1, 40))
            victim.kill()
            assert running.stop() in (0, 1)  # a transfer under way may have been cut
    return how


def look(running: ServerProcess, credentials: Credentials, home: Path, workers: list[Worker]) -> int:
    """Compares everything that is there with what may be there, and the books with a recount; returns the files."""
    files = 0
    found: dict[str, str | None] = {}
    with connect(running.url, credentials=credentials) as client:
        for entry in client.list("/", recursive=True, digests=True):
            path = "/" + entry.path.lstrip("/")
            if entry.kind == "dir":
                found[path] = DIRECTORY
                continue
            files += 1
            found[path] = digest_of((home / path[1:]).read_bytes())
            assert entry.digest == found[path], path
        for worker in workers:
            mine = {path: what for path, what in found.items() if path.startswith(worker.folder + "/")}
            for path in worker.model.possible.keys() | mine.keys():
                assert mine.get(path) in worker.model.at(path), path
            worker.model.settle(mine)
        folders = {worker.folder[1:] for worker in workers} | {"handouts"}
        assert not [path for path in found if path.split("/")[1] not in folders]
        space = client.space()
        kept = {path.name for path in partials(home)}
        assert {path.name for path in (home / ".ftpsvc" / "partials").glob("*.json")} == {
            name + ".json" for name in kept
        }
        with open_root(home) as top:
            used, counted = recount(top)
        assert (space.used, space.reserved, counted) == (used, 0, files + len(kept))
        assert used <= QUOTA
    return files


def partials(home: Path) -> list[Path]:
    return [path for path in (home / ".ftpsvc" / "partials").iterdir() if not path.suffix]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("durability", list(Durability) if full() else [Durability.FULL])
def test_c54_daemon_and_clients_are_killed_and_every_answer_holds(
    tmp_path: Path, durability: Durability, record_property: Callable[[str, object], None]
) -> None:
    root, wish = tmp_path / "root", tmp_path / "wish"
    alice = add_user(root, USER, quota=QUOTA)
    home = root / "users" / USER
    chance = random.Random(durability.value)
    workers = [Worker(f"/w{number}", alice, f"{durability} {number}") for number in range(CLIENTS)]
    rounds = count(7, 150)
    files = left_over = resumable = 0
    ways = set()
    with killing(workers), ExitStack() as last:
        for number in range(rounds + 1):
            running = last.enter_context(
                server(
                    root, "--durability", durability.value, guest="none", module="tests.helpers.dying_server",
                    settings={"timeouts.grace": 5}, environment={"DIE_WHEN": str(wish)},
                )
            )  # fmt: skip
            files += look(running, alice, home, workers) if number else 0
            staging = home / ".ftpsvc" / "staging"
            assert not number or not list(staging.iterdir())
            if number == rounds:
                break
            for worker in workers:
                worker.go(running.url)
            for worker in workers:  # all are at work: the first line is a step
                worker.hear(1)
            how = end_somehow(running, workers, wish, chance)
            ways.add(how)
            for worker in workers:
                worker.lose()
            wish.unlink(missing_ok=True)
            left = list(staging.iterdir())
            left_over += len(left)
            assert how != "client" or not left
            resumable += len(partials(home))
    for report in check(root, {USER: QUOTA}, read_digests=True):
        assert not [one for one in report.findings if one.kind != "partial"]
    short = sum(worker.short for worker in workers)
    counted = f"{rounds} kills, {files} files looked at, {left_over} staged and {resumable} begun left, {short} short"
    record_property("counted", counted)
    # They were killed in the middle of something, and there was something to lose.
    assert files > 0
    assert left_over > 0
    assert len(ways) > 1
    if full():
        assert resumable > 0
        assert short > 0
