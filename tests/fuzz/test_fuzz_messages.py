"""A moment of fuzzing in every run of the tests, and proof that the fuzzer would find something."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from ftpsvc.exceptions import InvalidHeader
from ftpsvc.protocol import connection
from ftpsvc.protocol.buffer import ReceiveBuffer
from ftpsvc.protocol.frames import take_header
from tests.fuzz.fuzz_messages import main
from tests.fuzz.invariant import check, seeds
from tests.helpers.counts import count
from tests.helpers.wire import message

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="THE FUZZER DID NOT RUN: atheris has no wheel for this system or this Python",
)


@needs_atheris
@pytest.mark.timeout(3600)
def test_c06_the_fuzzer_finds_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    runs = count(10_000, 500_000)
    assert main(["--runs", str(runs)]) == 0
    assert f"#{runs}" in capfd.readouterr().err


@needs_atheris
def test_the_fuzzer_reports_what_it_finds(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An input of the corpus breaks an invariant that was broken on purpose, in the process of the fuzzer."""
    (tmp_path / "sitecustomize.py").write_text(
        "import ftpsvc.protocol.strictjson as strict\nstrict.decode_object = lambda data: 1 / 0\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        assert main(["--runs", "10"]) != 0
    assert "ZeroDivisionError" in capfd.readouterr().out
    (crash,) = Path.cwd().glob("crash-*")
    assert main(["--input", str(crash)]) == 0, "the fault was in that process, not in this one"


def test_the_invariant_holds_for_the_seeds_on_every_system() -> None:
    found = list(seeds())
    assert len(found) > 30
    for seed in found:
        check(seed)
        check(bytes([seed[0] | 6, 200]) + seed[2:])


SEED = (
    b"\x01\x00"
    + message({"op": "put", "path": "f", "size": 3, "algorithm": "md5"}, b"abc")
    + message({"op": "pwd"})
)


@pytest.mark.parametrize(
    "fault", ["another error", "no end", "forgotten error", "depends on the cut", "no bound"]
)
def test_the_invariant_notices(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check(SEED)
    seed = SEED
    if fault == "another error":
        monkeypatch.setattr(connection, "decode_object", lambda data: 1 / 0)
    elif fault == "no end":
        monkeypatch.setattr(connection, "take_header", lambda buffer, limit: b'{"op": "pwd"}')
    elif fault == "forgotten error":
        seed = b"\x01\x00" + message(b"[]")
        forgetful = property(lambda self: None, lambda self, value: None)
        monkeypatch.setattr(connection.Connection, "_broken", forgetful, raising=False)
    elif fault == "depends on the cut":

        def impatient(buffer: ReceiveBuffer, limit: int) -> bytes | None:
            header = take_header(buffer, limit)
            if header is None and len(buffer) > 5:
                raise InvalidHeader("not all at once")
            return header

        monkeypatch.setattr(connection, "take_header", impatient)
    else:
        monkeypatch.setattr(ReceiveBuffer, "writable", lambda self: memoryview(bytearray(1 << 20)))
    with pytest.raises((AssertionError, ZeroDivisionError, pytest.fail.Exception)):
        check(seed)
