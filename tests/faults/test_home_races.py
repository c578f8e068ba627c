"""C20 over users' homes: a directory is swapped for a link to the outside while its user, and teachers, work there."""

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ftpsvc.accounts.model import Role
from tests.helpers import hostile
from tests.helpers.attackers import send_and_take_all, snapshot
from tests.helpers.counts import count
from tests.helpers.daemon import server
from tests.helpers.raw_peer import frame, put_bytes
from tests.helpers.users import add_user
from tests.helpers.watcher import AVAILABLE, Watcher

REPOSITORY = Path(__file__).resolve().parents[2]
OPERATIONS = count(1_000, 10_000)
HEAP = 40
OUTSIDE, INSIDE = b"MUST-NOT-BE-SEEN", b"may be seen"


def lay(folder: Path, content: bytes) -> None:
    (folder / "e").mkdir(parents=True)
    for name in ("f", "e/f"):
        (folder / name).write_bytes(content)
    if content == OUTSIDE:
        (folder / "e" / OUTSIDE.decode()).touch()
        (folder / OUTSIDE.decode()).touch()


@contextmanager
def swapping(one: Path, other: Path) -> Iterator[None]:
    """Runs the swapper beside the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.swapper", str(one), str(other)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
    ) as swapper:  # fmt: skip
        assert swapper.stdout
        try:
            assert swapper.stdout.readline() == "ready\n"
            yield
        finally:
            swaps, _ = swapper.communicate()
    assert int(swaps) > 0


def ask(op: str, path: str, **fields: object) -> bytes:
    return frame({"op": op, "path": path, **fields})


def own(chance: random.Random) -> bytes:
    """Something that the user does in the directory that is swapped."""
    return chance.choice(
        (
            ask("get", "/d/f", algorithm="sha256"), ask("get", "/d/e/f", algorithm="md5"), ask("ls", "/d"),
            ask("ls", "/d/e", digests=True), ask("ls", "/", recursive=True), ask("stat", "/d/e/f"), ask("cd",
            "/d/e"), ask("cd", "/"),
            put_bytes("/d/new", b"x"), put_bytes("/d/e/f", INSIDE), put_bytes("/d/f", INSIDE), ask("verify",
            "/d/f"),
            ask("mkdir", "/d/e/made/here", parents=True), ask("rm", "/d/e/made", recursive=True), ask("rm",
            "/d/new"),
            ask("mv", "/d/new", to="/moved"), ask("mv", "/moved", to="/d/e/moved"), ask("rm", "/d/e/moved"),
            ask("rm", f"/d/{OUTSIDE.decode()[:4]}"), ask("begin", "/d/e/large", file_size=9, algorithm="md5"),
            ask("begin", "/d/f", file_size=9, algorithm="md5", restart=True),
        )
    )  # fmt: skip


def of_a_student(chance: random.Random) -> bytes:
    """Something that a teacher does there, or may not."""
    home = "/users/a"
    return chance.choice(
        (
            ask("get", f"{home}/d/f", algorithm="sha256"), ask("get", f"{home}/d/e/f", algorithm="blake3"),
            ask("ls", f"{home}/d"),
            ask("ls", home, recursive=True), ask("ls", "/users", recursive=True, digests=True), ask("stat",
            f"{home}/d/e"),
            ask("cd", f"{home}/d/e"), ask("cd", "/"), ask("verify", f"{home}/d/e/f"), put_bytes(f"{home}/d/new",
            b"x"),
            ask("rm", f"{home}/d/f"), ask("mv", f"{home}/d/f", to="/stolen"), ask("mv", f"{home}/d/f",
            to=f"{home}/d/g"),
        )
    )  # fmt: skip


@pytest.mark.skipif(not AVAILABLE, reason="the outside is watched by inotify, which only Linux has")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("who", "does"), [("a", own), ("teacher", of_a_student)])
def test_c20_nothing_in_a_home_follows_a_link_that_is_swapped_in(
    tmp_path: Path, who: str, does: Callable[[random.Random], bytes]
) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    people = {"a": add_user(root, "a"), "teacher": add_user(root, "teacher", role=Role.TEACHER)}
    home = root / "users" / "a"
    lay(outside, OUTSIDE)
    with server(root, "--durability", "relaxed", guest="none") as running:
        send_and_take_all(running.where, [], people["a"], tls=False)
        lay(home / "d", INSIDE)
        os.symlink(outside, home / "l")
        before = snapshot([outside])
        chance = random.Random(20)
        done: Counter[str] = Counter()
        with Watcher([outside]) as watcher, swapping(home / "d", home / "l"):
            # Until the race was long, and was one: operations met the directory and the link by turns.
            while (
                sum(done.values()) < OPERATIONS
                or done["ok"] < 200
                or done["not-found"] + done["not-a-directory"] < 50
            ):
                heap = [does(chance) for _ in range(HEAP)]
                data = send_and_take_all(running.where, heap, people[who], tls=False)
                assert OUTSIDE not in data
                answers = hostile.answers(data)
                assert len(answers) == HEAP, answers[-1:]
                done.update(answer.get("code", "ok") for answer in answers)
            assert watcher.seen() == []
        assert not done["internal"]
        assert snapshot([outside]) == before
        if who == "teacher":  # who may look, and change nothing
            assert (home / "d" / "f").read_bytes() == INSIDE
            assert not (home / "d" / "new").exists()
