"""Point 3: own home, and only that."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from ftpsvc.homework.kit.checks.tester import INSIDE, Checks, Tester, same
from ftpsvc.homework.kit.declared import FILE
from ftpsvc.homework.kit.findings import Fault, Gone, NotScored, Refused
from ftpsvc.homework.kit.said import said

CHECKS: Final = Checks(3)


@CHECKS.add("dots", "work out .. as text first, and refuse what leaves the folder: in every operation", "C15")
def _dots(test: Tester) -> None:
    _no_way_out(
        test,
        "../outside.txt",
        "/../outside.txt",
        "music/../../outside.txt",
        "music/rock/../../../outside.txt",
    )


@CHECKS.add(
    "absolute names", "os.path.join(root, '/etc/passwd') is '/etc/passwd': '/' is the shared folder", "C14"
)
def _absolute(test: Tester) -> None:
    place = f"{test.server.place}/{test.beside}outside.txt"
    _no_way_out(test, place, f"/{place}")


@CHECKS.add(
    "a neighbour with the same beginning",
    "startswith('/home/ann') is true for '/home/anna': compare whole names",
    "C17",
)
def _neighbour(test: Tester) -> None:
    name = test.shared.removeprefix(test.beside)
    _no_way_out(test, f"../{name}-2/outside.txt", f"/../{name}-2/outside.txt")


@CHECKS.add("links", "a link in the folder may lead out of it: look at every step with os.path.islink", "C20")
def _links(test: Tester) -> None:
    _no_way_out(test, "way-out", "way-up/outside.txt")


@CHECKS.add("cd out of the folder", "cd checks its path like every other operation", "C15")
def _cd_out(test: Tester) -> None:
    with test.conversation() as user:  # whoever lets nobody in anywhere keeps nothing apart either
        user.cd("music")
    for way in ("..", "/..", "music/../.."):
        with test.entered() as user, suppress(Refused, Gone):
            user.cd(way)
            if "outside.txt" in user.ls():
                raise Fault(
                    said("that cd stays in the folder"),
                    said("cd {way} led out of it", way=way),
                    f'cd "{way}", ls',
                )


@CHECKS.add(
    "what is another user's",
    "the path begins at the user's own home, whatever name stands in it: in every operation",
    "C24",
)
def _other_user(test: Tester) -> None:
    if len(test.accounts) < 2:
        raise NotScored(said("{file} names no two accounts", file=FILE))
    owner, other = test.accounts[:2]
    with test.conversation(owner) as user:
        user.put("mine.txt", test.secret)
    home = owner.home
    name = home.rpartition("/")[2]
    ways = (
        f"../{name}",
        f"/{name}",
        f"/{home}",
        f"/{owner.name}",
        owner.name,
        f"../{home}",
        f"~{owner.name}",
    )
    for folder in dict.fromkeys(ways):
        for op in ("get", "put", "ls"):
            seen = ""
            with test.entered(other) as user, suppress(Refused, Gone):
                if op == "get":
                    seen = said("its content") if test.secret in user.get(f"{folder}/mine.txt") else ""
                elif op == "put":
                    user.put(f"{folder}/mine.txt", b"changed")
                else:
                    seen = said("its name") if "mine.txt" in user.ls(folder) else ""
            if seen:
                raise Fault(
                    said("that nobody sees what is another user's"), seen, f'{op} "{folder}/mine.txt"'
                )
    with test.conversation(owner) as user:
        same(user.get("mine.txt"), test.secret, said("what its owner put there"))


def _no_way_out(test: Tester, *ways: str) -> None:
    """Expects that no operation shows or changes what lies there; how that is refused is left to the server."""
    with test.conversation() as user:  # whoever shows nothing at all keeps nothing apart either
        same(user.get("music/song.txt"), INSIDE.encode(), said("what lies in the folder"))
    for way in ways:
        for op in ("get", "put", "ls"):
            with test.entered() as user:
                seen = ""
                with suppress(Refused, Gone):
                    if op == "get":
                        seen = said("its content") if test.secret in user.get(way) else ""
                    elif op == "put":
                        user.put(way, b"changed")
                    else:
                        folder = way.rpartition("/")[0]
                        seen = said("its name") if folder and "outside.txt" in user.ls(folder) else ""
                if seen:
                    expected = said("that nobody sees what is outside of the folder")
                    raise Fault(expected, seen, f'{op} "{way}"')
    for name in (f"{test.beside}outside.txt", f"{test.shared}-2/outside.txt"):
        if test.server.content(name) != test.secret:
            raise Fault(
                said("that nobody changes what is outside of the folder"),
                said("{name} was changed", name=name),
                f'put "{ways[0]}"',
            )
