"""Whatever is done to a file, an update by blocks leaves exactly that file on the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftpsvc.blocks import BlockMap
from ftpsvc_client import Client, connect, delta
from tests.helpers.embedded import embedded

BLOCK = 4096


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Path]]:
    """A client for which every file is a large one, of blocks of 4 KiB."""
    root = tmp_path_factory.mktemp("delta")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delta, "SMALLEST", 1)
        patch.setattr(delta, "block_size", lambda size: BLOCK)
        patch.setattr(delta, "_STEP", 3 * BLOCK)
        with embedded(root / "root") as daemon, connect(daemon.addresses[0]) as client:
            yield client, root


@st.composite
def edits(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A content and what becomes of it: overwritten, inserted into, cut, extended, in any places."""
    alphabet = draw(st.sampled_from([1, 4, 256]))
    random = draw(st.randoms(use_true_random=False))
    old = (
        bytes(random.randrange(alphabet) for _ in range(draw(st.integers(0, 12 * BLOCK))))
        if alphabet > 1
        else bytes(draw(st.integers(0, 12 * BLOCK)))
    )
    new = bytearray(old)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(new)))
        some = random.randbytes(draw(st.sampled_from([0, 1, 100, BLOCK - 1, BLOCK, 2 * BLOCK + 1])))
        match draw(st.sampled_from(["overwrite", "insert", "remove", "cut", "append"])):
            case "overwrite":
                new[at : at + len(some)] = some[: len(new) - at]
            case "insert":
                new[at:at] = some
            case "remove":
                del new[at : at + len(some)]
            case "cut":
                del new[at:]
            case _:
                new += some
    return old, bytes(new)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(edits())
def test_any_edit_arrives_exactly(client: tuple[Client, Path], edit: tuple[bytes, bytes]) -> None:
    session, root = client
    old, new = edit
    there = root / "root" / "public" / "f"
    source = root / "source"
    source.write_bytes(old)
    session.put(source, "/f", delta=False)
    source.write_bytes(new)
    stored = session.put(source, "/f")
    assert there.read_bytes() == new
    assert stored.size == len(new)
    kept = sum(
        len(new[at : at + BLOCK])
        for at in range(0, len(new), BLOCK)
        if new[at : at + BLOCK] == old[at : at + BLOCK]
    )
    # Whatever the probes made of it: no more than the whole, and what is the same costs a bit a block.
    assert stored.sent <= len(new) + BLOCK
    if stored.sent < len(new):
        assert stored.sent == len(new) - kept + BlockMap.length(len(new), BLOCK)
    assert session.get("/f", root / "back", overwrite=True).digest == stored.digest
