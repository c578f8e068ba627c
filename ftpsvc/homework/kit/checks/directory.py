"""Point 5: cd."""

from __future__ import annotations

from typing import Final

from ftpsvc.homework.kit.checks.tester import INSIDE, Checks, Tester, same
from ftpsvc.homework.kit.findings import Fault
from ftpsvc.homework.kit.said import said

CHECKS: Final = Checks(5)


@CHECKS.add("cd and back", "keep the directory in the session, and start relative paths from it")
def _cd(test: Tester) -> None:
    with test.conversation() as user:
        user.cd("music")
        same(user.get("song.txt"), INSIDE.encode(), said("music/song.txt as song.txt after cd music"))
        user.cd("rock")
        same(user.get("deep.txt"), INSIDE.encode(), said("music/rock/deep.txt after cd music, cd rock"))
        user.cd("..")
        if "song.txt" not in user.ls():
            raise Fault(said("song.txt in the listing of music after cd .."), said("it is not there"))
        user.cd("/")
        if "music" not in user.ls():
            raise Fault(said("the folder itself after cd /"), said("its listing has no music"))


@CHECKS.add("cd to nowhere", "look whether it is a directory before you change to it", "C10")
def _cd_nowhere(test: Tester) -> None:
    with test.conversation() as user:
        test.refused(lambda: user.cd("no-such-folder"), said("cd to what is not there"))
        test.refused(lambda: user.cd("music/song.txt"), said("cd to a file"))
        if "music" not in user.ls():
            raise Fault(said("that a refused cd changes nothing"), said("another directory is listed"))


@CHECKS.add(
    "each connection has its own directory",
    "no os.chdir, no attribute of the server or class: one variable for each session",
    "C26",
)
def _own_directory(test: Tester) -> None:
    with test.conversation() as one, test.conversation() as two:
        one.cd("music")
        test.last = two.wire
        if "music" not in two.ls():
            raise Fault(
                said("that the cd of one user moves nobody else"),
                said("the other one is in music too"),
                said("cd by one, ls by another"),
            )
