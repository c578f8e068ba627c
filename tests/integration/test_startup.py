"""What the command does not load while it starts, and that leaving it out changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ftpsvc.protocol import headers
from tests.helpers.daemon import ServerProcess, server

COMMAND = """
import sys
from ftpsvc_client.cli.run import run
assert run(sys.argv[1:]) == 0
"""

LOADED = """
import json, sys
sys.stderr.write(json.dumps(sorted(sys.modules)))
"""


def run(program: str, *arguments: str) -> tuple[str, set[str]]:
    """Runs a program, and returns what it printed and the names of all modules that it had in the end."""
    done = subprocess.run(
        [sys.executable, "-c", program + LOADED, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, set(json.loads(done.stderr))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server(tmp_path_factory.mktemp("root"), "--durability", "relaxed") as running:
        (running.public / "a.txt").write_bytes(b"1")
        yield running


def test_ls_loads_what_it_needs(daemon: ServerProcess) -> None:
    printed, loaded = run(COMMAND, "--server", daemon.url, "ls", "/")
    assert printed == "a.txt\n"
    assert {"pydantic.main", "ftpsvc.protocol.headers.listing"} <= loaded, (
        "this test looks at nothing any more"
    )
    unwanted = {
        # of others: importlib.metadata is what pydantic would look for plugins with
        "importlib.metadata", "email", "zipfile", "csv", "tqdm", "prompt_toolkit", "blake3", "ssl", "asyncio",
        "concurrent.futures", "ftplib", "traceback", "logging",
        # of our own
        "ftpsvc.protocol.headers.content", "ftpsvc.protocol.headers.names", "ftpsvc.protocol.headers.operations",
        "ftpsvc.confine", "ftpsvc_client.content", "ftpsvc_client.download", "ftpsvc_client.download_tree",
        "ftpsvc_client.upload_tree", "ftpsvc_client.local", "ftpsvc_client.progress", "ftpsvc_client.sources",
        "ftpsvc_client.cli.completion", "ftpsvc_client.cli.prompt", "ftpsvc_client.cli.shell",
        "ftpsvc_client.cli.transfers",
    }  # fmt: skip
    assert sorted(loaded & unwanted) == []


def test_what_says_only_a_version_or_help_loads_no_protocol() -> None:
    for flag in ("--version", "--help"):
        _, loaded = run(COMMAND, flag)
        assert "click" in loaded
        assert loaded.isdisjoint({"pydantic", "ftpsvc.protocol", "ftpsvc_client.client"})


WITHOUT_PLUGINS = """
import sys
from ftpsvc_client.cli.startup import without_plugins
without_plugins()
assert "importlib.metadata" not in sys.modules
from pydantic import BaseModel
import pydantic.plugin._loader as loader
class Model(BaseModel):
    field: int
assert Model.model_validate({"field": 1}).field == 1
assert list(loader.get_plugins()) == []
assert "importlib.metadata" not in sys.modules

# Who asks for it gets the real one, by whichever way.
found = list(loader.entry_points(group="console_scripts"))
import importlib.metadata
assert found == list(importlib.metadata.entry_points(group="console_scripts"))
assert any(each.name == "ftpsvc" for each in found)
assert importlib.metadata.version("pydantic")
"""


def test_without_plugins_pydantic_works_and_importlib_metadata_is_as_it_was() -> None:
    run(WITHOUT_PLUGINS)


@pytest.mark.parametrize(
    "before",
    ["import importlib.metadata", "import pydantic.main", "import sys; sys.modules['pydantic'] = None"],
)
def test_without_plugins_leaves_alone_what_is_loaded_or_missing(before: str) -> None:
    program = f"""
{before}
import sys
real = sys.modules.get("importlib.metadata")
from ftpsvc_client.cli.startup import without_plugins
without_plugins()
assert sys.modules.get("importlib.metadata") is real
"""
    run(program)


def test_the_api_leaves_pydantic_as_it_is() -> None:
    _, loaded = run("import ftpsvc_client.client")
    assert "ftpsvc_client.cli.startup" not in loaded
    _, loaded = run("import os, ftpsvc_client.client\nassert 'PYDANTIC_DISABLE_PLUGINS' not in os.environ")


def test_every_name_of_the_headers_can_be_had_and_is_listed() -> None:
    program = """
from ftpsvc.protocol import headers
assert "Put" not in vars(headers)
for name in headers.__all__:
    assert getattr(headers, name) is vars(headers)[name], name
from ftpsvc.protocol.headers import *
assert Put is headers.REQUESTS["put"]
"""
    run(program)
    assert headers.REQUESTS  # has every module of them loaded
    defined = {each.__name__ for each in every_model(headers.Header) if each.__module__.startswith("ftpsvc.")}
    assert defined | {"REQUESTS", "Header", "explain"} == set(headers.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = headers.Nothing  # type: ignore[attr-defined]


def every_model(cls: type[headers.Header]) -> Iterator[type[headers.Header]]:
    """All classes beneath `cls`."""
    for each in cls.__subclasses__():
        yield each
        yield from every_model(each)
