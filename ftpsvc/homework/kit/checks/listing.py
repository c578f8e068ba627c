"""Point 6: ls."""

from __future__ import annotations

from typing import Final

from ftpsvc.homework.kit.checks.tester import Checks, Tester
from ftpsvc.homework.kit.findings import Fault
from ftpsvc.homework.kit.said import said

CHECKS: Final = Checks(6)


@CHECKS.add("names and kinds", "files and directories, with their names as they are")
def _ls(test: Tester) -> None:
    with test.conversation() as user:
        names = ("plain.txt", "with space.txt", "中文.txt", "-rf", "semi;colon$(x)")
        for name in names:
            user.put(name, name.encode())
        there = user.ls()
        if missing := {*names, "music", "empty"} - there.keys():
            raise Fault(
                said("all names in the listing"), said("missing: {names}", names=", ".join(sorted(missing)))
            )
        if there["music"].kind not in ("dir", None) or there["plain.txt"].kind not in ("file", None):
            kinds = f"{there['music'].kind}, {there['plain.txt'].kind}"
            raise Fault(said("music as dir, plain.txt as file"), kinds)
        for name in names:
            if there[name].size not in (len(name.encode()), None):
                expected = said("a size of {size} for {name}", size=len(name.encode()), name=name)
                raise Fault(expected, str(there[name].size))


@CHECKS.add("an empty directory", "a listing of nothing is an answer too", "C08")
def _ls_empty(test: Tester) -> None:
    with test.conversation() as user:
        if found := user.ls("empty"):
            raise Fault(said("a listing without entries"), ", ".join(sorted(found))[:200])
        if "song.txt" not in user.ls("music"):
            raise Fault(said("song.txt in the listing of music"), said("it is not there"))


@CHECKS.add("ls of what is not there", "an answer that says no, after which the connection goes on", "C10")
def _ls_nothing(test: Tester) -> None:
    with test.conversation() as user:
        test.refused(lambda: user.ls("no-such-folder"), said("ls of what is not there"))
        user.ls()
