"""All programs of the course that take a port: what they say to one that is none, is taken, or has nobody behind it."""

from __future__ import annotations

import ast
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.course import COURSE, GUARD

# One interpreter runs them all, since starting forty of them would cost more than what they do.
DRIVER = """
import io, json, os, runpy, sys
for path, *arguments in json.load(sys.stdin):
    sys.argv, sys.path[0], sys.stdin = [path, *arguments], os.path.dirname(path), io.StringIO()
    sys.setrecursionlimit(1000)
    sys.stdout = said = io.StringIO()
    try:
        runpy.run_path(path, run_name="__main__")
        end = None
    except SystemExit as error:
        end = error.code
    except BaseException as error:
        end = f"a traceback: {error!r}"
    sys.stdout = sys.__stdout__
    print(json.dumps([os.path.basename(path), end, said.getvalue()]))
"""
USAGE = {
    path: text.split("\n", 1)[0]
    for path in sorted(COURSE.glob("*/*.py"))
    if (
        text := (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("python ")[2]
    )
}
WITH_A_PORT = [path for path, usage in USAGE.items() if "PORT" in usage and path.name != "ipv6.py"]
CLIENTS = {path.name for path in WITH_A_PORT if "client" in path.name} | {"caller.py", "send_file.py"}
SILENT = {"upper_client.py", "ok_client.py"}
"""Nothing is typed into these two, so they send no datagram, and nothing fails."""
TELLS_ITSELF = {"connect_ex.py", "reuse.py", "triple.py"}
"""Experiments in which the error is what they show."""


def _run(folder: Path, port: object, host: str = "127.0.0.1") -> dict[str, tuple[object, str]]:
    (folder / "FILE").touch()
    calls = [[str(path), host, str(port), *["FILE"] * ("FILE" in USAGE[path])] for path in WITH_A_PORT]
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-B", "-c", DRIVER], input=json.dumps(calls), stdout=subprocess.PIPE,
        cwd=folder, encoding="utf-8", timeout=GUARD, check=True,
    )  # fmt: skip
    return {name: (end, said) for name, end, said in map(json.loads, done.stdout.splitlines())}


def test_what_is_no_number_gets_the_usage(tmp_path: Path) -> None:
    ends = _run(tmp_path, "eight")
    assert len(ends) > 40
    for name, (end, _) in ends.items():
        assert f"python {name} " in str(end), (name, end)


def test_what_is_no_port_gets_one_line(tmp_path: Path) -> None:
    for name, (end, said) in _run(tmp_path, 65536).items():
        if name in SILENT:
            assert (end, said) == (None, "")
        else:  # getaddrinfo, which create_connection asks, lets it pass as 0, and nobody can be called there
            allowed = ("port must be 0-65535", *["refused"] * (name in CLIENTS))
            assert any(text in str(end) for text in allowed), (name, end)
            assert "\n" not in str(end)


def test_a_port_that_is_taken_or_where_nobody_is_gets_one_line(tmp_path: Path) -> None:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            pytest.skip("the number that TCP had free is taken for UDP")
        # Bound but not listening: taken for whoever binds it, and nobody there for whoever calls it.
        ends = _run(tmp_path, tcp.getsockname()[1])
    for name, (end, said) in ends.items():
        if name in SILENT:
            assert (end, said) == (None, "")
        elif name in TELLS_ITSELF:
            assert "EADDRINUSE" in said or "ConnectionRefusedError" in said, name
        else:
            assert ("refused" if name in CLIENTS else "in use") in str(end), (name, end)
            assert "\n" not in str(end)


def test_a_host_of_another_family_gets_one_line(tmp_path: Path) -> None:
    for name, (end, said) in _run(
        tmp_path, 0, "::1"
    ).items():  # all of them are programs of IPv4; some clients call any
        if name in SILENT:
            assert (end, said) == (None, "")
        else:
            told = str(end) + said * (name in TELLS_ITSELF)
            allowed = ("Address family", *["refused", "assign requested"] * (name in CLIENTS))
            assert any(text in told for text in allowed), (name, end)
            assert "\n" not in str(end)
