"""What the client drags in when it is imported: rules that import-linter cannot say, on modules really loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = Path(__file__).resolve().parents[2] / "client" / "ftpsvc_client"
SHARED = {
    "addresses", "blocks", "buffers", "certificates", "confine", "credentials", "deadline", "digests", "exceptions",
    "paths", "protocol", "receipts", "scram", "text", "transport", "wire",
}  # fmt: skip

LOADED = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""


def loaded_by(*modules: str) -> set[str]:
    """The names of all modules that a fresh interpreter has after importing these."""
    command = [sys.executable, "-c", LOADED, *modules]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.fixture(scope="module")
def whole_client() -> set[str]:
    """What is loaded once every module of the client is."""
    names = [
        ".".join(("ftpsvc_client", *path.relative_to(CLIENT).with_suffix("").parts))
        for path in CLIENT.rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    ]
    return loaded_by("ftpsvc_client", *names)


def test_the_client_uses_only_what_both_sides_share(whole_client: set[str]) -> None:
    used = {name.split(".")[1] for name in whole_client if name.startswith("ftpsvc.")}
    assert used <= SHARED, (
        "forbidden to the client; a new shared module is added to SHARED and to pyproject.toml"
    )


def test_the_client_runs_without_the_daemons_dependencies(whole_client: set[str]) -> None:
    assert whole_client.isdisjoint({"pydantic_settings", "sqlalchemy", "socketserver"})


def test_importing_ftpsvc_loads_nothing_else_of_it() -> None:
    assert [name for name in loaded_by("ftpsvc") if name.startswith("ftpsvc")] == ["ftpsvc"]
