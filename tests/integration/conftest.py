"""A daemon for each module of tests that asks for one, and the command to use it by; a module may have its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.cli import Cli, emptied
from tests.helpers.daemon import ServerProcess, server


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A running server, shared by the tests of one module."""
    with server(tmp_path_factory.mktemp("root"), "--durability", "relaxed") as running:
        yield running


@pytest.fixture
def public(daemon: ServerProcess) -> Path:
    """What the server shows, empty."""
    return emptied(daemon.public)


@pytest.fixture
def cli(daemon: ServerProcess, public: Path, tmp_path: Path) -> Cli:
    """The command, in an empty directory, with that server."""
    here = tmp_path / "here"
    here.mkdir()
    return Cli(here, daemon.url)
