"""The complete conversations of docs/protocol.md, played to a real server, byte by byte as they stand there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftpsvc.server.daemon import Daemon
from tests.helpers.embedded import dial, embedded
from tests.helpers.examples import BEFORE, Example, Message, load
from tests.helpers.raw_peer import frame


# The answers of a log-in depend on what the server draws: tests/unit/test_protocol_login_example.py has that one. Those
# of a hand-in depend on its clock: test_homework_hand_in.py.
@pytest.mark.parametrize(
    "example",
    [each for each in load() if each.name not in ("log-in", "hand-in")],
    ids=lambda example: example.name,
)
def test_a_real_server_answers_as_the_page_says(example: Example, tmp_path: Path) -> None:
    with embedded(tmp_path / "root") as daemon:
        if example.name == "resume":
            leave_a_partial(daemon)
        play(example, daemon)


def leave_a_partial(daemon: Daemon) -> None:
    """Does what the first line of the example says."""
    name, held = next(iter(BEFORE.items()))
    with dial(daemon) as peer:
        size = 19
        assert peer.ask("begin", path=name, file_size=size, algorithm="md5")["offset"] == 0
        peer.send(frame({"op": "put", "path": name, "size": size, "algorithm": "md5"}, held))
        peer.half_close()
        assert peer.at_end()


def play(example: Example, daemon: Daemon) -> None:
    with dial(daemon, greeted=False) as peer:
        for message in example.messages:
            if message.sender == "C":
                peer.send(message.data)
                continue
            header = peer.read()
            payload = peer.payload(header.get("size", 0))
            compare(message, header, payload)
        assert peer.at_end(), "the server says more than the page"


def compare(expected: Message, header: dict[str, Any], payload: bytes) -> None:
    """A real server may say more than the page, and greets with what it has; it must not say anything else."""
    if "service" in expected.header:
        assert header["service"] == expected.header["service"]
        assert header["version"] == expected.header["version"]
        assert set(header["algorithms"]) >= set(expected.header["algorithms"])
        assert set(header["features"]) >= set(expected.header.get("features", ()))
        assert header["limits"]["window"] >= expected.header.get("limits", {}).get("window", 1)
        return
    lines = "size" in expected.header and "file_size" not in expected.header
    assert includes(header, {key: value for key, value in expected.header.items() if key != "size"})
    if not lines:
        assert header.get("size") == expected.header.get("size")
        assert payload == expected.payload
        return
    entries, listed = (list(map(json.loads, data.splitlines())) for data in (expected.payload, payload))
    assert len(listed) == len(entries)
    assert all(includes(one, other) for one, other in zip(listed, entries, strict=True))


def includes(found: Any, expected: Any) -> bool:
    """Whether everything that is expected is there, at every level."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            key in found and includes(found[key], value) for key, value in expected.items()
        )
    return bool(found == expected)
