"""Patterns on the server, against names that are only listed."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import cast

import pytest

from ftpsvc.exceptions import NotADirectory, NotFound
from ftpsvc_client.cli import globs
from ftpsvc_client.client import Client
from ftpsvc_client.results import RemoteEntry


class Listed:
    """As much of a client as patterns need: names in a set."""

    def __init__(self, *files: str) -> None:
        self.files = set(files)
        self.lists = 0

    def _kind(self, path: str) -> str:
        path = posixpath.normpath(path).strip("/")
        if path in self.files:
            return "file"
        if path in ("", ".") or any(name.startswith(path + "/") for name in self.files):
            return "dir"
        raise NotFound(path)

    def stat(self, path: str) -> RemoteEntry:
        return RemoteEntry(path, self._kind(path))  # type: ignore[arg-type]

    def iter_list(self, path: str, *, recursive: bool = False) -> Iterator[RemoteEntry]:
        self.lists += 1
        base = posixpath.normpath(path).strip("/").removeprefix(".")
        if self._kind(base) == "file":
            raise NotADirectory(path)
        names = set()
        for name in self.files:
            if name.startswith(base + "/" if base else ""):
                parts = name[len(base) :].strip("/").split("/")
                names |= {"/".join(parts[:depth]) for depth in range(1, len(parts) + 1 if recursive else 2)}
        for name in sorted(names):
            yield RemoteEntry(name, self._kind(f"{base}/{name}"))  # type: ignore[arg-type]


FILES = Listed(
    "a.txt", "b.txt", "c.pdf", ".h.txt", "d/x.txt", "d/y.pdf", "d/e/z.txt", "d/e/f/w.txt", "d/.g/v.txt", "dd/u.txt",
    "[1].txt", "1.txt", "caf\u00e9.txt",
)  # fmt: skip


def expanded(*patterns: str) -> list[str]:
    return [found.path for found in globs.remote(cast(Client, FILES), patterns, lambda _: None)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("plain", ["plain"]),
        ("*.pdf", ["c.pdf"]),
        ("?.txt", ["1.txt", "a.txt", "b.txt"]),
        ("[ab].txt", ["a.txt", "b.txt"]),
        ("[!ab1].txt", []),
        (".*", [".h.txt"]),
        ("[1].txt", ["[1].txt"]),
        ("d/*", ["d/e", "d/x.txt", "d/y.pdf"]),
        ("/d/*.txt", ["/d/x.txt"]),
        ("d*/*.txt", ["d/x.txt", "dd/u.txt"]),
        ("*/e/*.txt", ["d/e/z.txt"]),
        ("*/x.txt", ["d/x.txt"]),
        ("d/e/../*.pdf", ["d/e/../y.pdf"]),
        (
            "**/*.txt",
            ["1.txt", "[1].txt", "a.txt", "b.txt", "caf\u00e9.txt", "d/e/f/w.txt", "d/e/z.txt", "d/x.txt", "dd/u.txt"],
        ),
        ("d/**/*.txt", ["d/e/f/w.txt", "d/e/z.txt", "d/x.txt"]),
        ("d/**", ["d/e", "d/e/f", "d/e/f/w.txt", "d/e/z.txt", "d/x.txt", "d/y.pdf"]),
        ("**/e/**/w.*", ["d/e/f/w.txt"]),
        ("cafe\u0301*", ["caf\u00e9.txt"]),
    ],
)  # fmt: skip
def test_patterns(pattern: str, expected: list[str]) -> None:
    if not expected:
        with pytest.raises(globs.NoMatch, match="matches nothing"):
            expanded(pattern)
    else:
        assert expanded(pattern) == expected


@pytest.mark.parametrize("pattern", ["nope/*", "a.txt/*", "*/nope", "d/*/nope/*", "**/nope"])
def test_what_is_not_there_matches_nothing(pattern: str) -> None:
    with pytest.raises(globs.NoMatch):
        expanded(pattern)


def test_a_plain_name_costs_no_question() -> None:
    before = FILES.lists
    assert expanded("nope", "a.txt") == ["nope", "a.txt"]
    assert FILES.lists == before


def test_names_that_are_none_are_told_and_not_matched() -> None:
    class Hostile(Listed):
        def stat(self, path: str) -> RemoteEntry:
            raise NotFound(path)

        def iter_list(self, path: str, *, recursive: bool = False) -> Iterator[RemoteEntry]:
            for name in ("../x", "/x", "..", "", "a\\b", "a\x1bb", "good"):
                yield RemoteEntry(name, "file")
            yield RemoteEntry("noted", "file", note="not UTF-8")

    told: list[RemoteEntry] = []
    found = globs.remote(cast(Client, Hostile()), ["*"], told.append)
    assert [one.path for one in found] == ["good"]
    assert len(told) == 7


def test_many_stars_cost_no_more_than_their_number() -> None:
    deep = Listed("/".join("a" * 60) + "/b")
    with pytest.raises(globs.NoMatch):
        globs.remote(cast(Client, deep), ["**/" * 30 + "c"], lambda _: None)
