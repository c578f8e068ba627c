"""Whatever a peer sends as a log-in message, the only error is that the log-in failed."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpsvc.accounts.scram import ServerLogin, mechanism_for
from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import Kind, LoginName
from ftpsvc.exceptions import AuthenticationFailed
from ftpsvc.scram import ClientLogin
from tests.helpers.logins import add_device

BINDINGS = st.sampled_from([None, b"\x01" * 32])
# Every character, half surrogate pairs among them: a JSON header cannot carry those, another caller might.
ANYTHING = st.text(st.characters(categories=None), max_size=300) | st.binary(max_size=300).map(
    lambda data: data.decode("latin-1")
)
ATTRIBUTE = st.tuples(st.sampled_from("acnrsipvemxXé="), ANYTHING).map(lambda pair: f"{pair[0]}={pair[1]}")
MESSAGE = ANYTHING | st.tuples(
    st.sampled_from(["n,,", "y,,", "p=tls-server-end-point,,", "", "n,a=x,"]), st.lists(ATTRIBUTE, max_size=6)
).map(lambda parts: parts[0] + ",".join(parts[1]))


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    with tempfile.TemporaryDirectory() as folder, Accounts(Path(folder)) as opened:
        opened.add("alice")
        yield opened


@given(BINDINGS, MESSAGE)
def test_any_first_message(accounts: Accounts, binding: bytes | None, message: str) -> None:
    server = ServerLogin(accounts, mechanism_for(binding), binding)
    try:
        answer = server.step(message)
    except AuthenticationFailed:
        assert server.identity is None
    else:
        assert answer.startswith("r=")


@given(BINDINGS, MESSAGE)
def test_any_last_message(accounts: Accounts, binding: bytes | None, message: str) -> None:
    server = ServerLogin(accounts, mechanism_for(binding), binding)
    client = ClientLogin(LoginName("alice", Kind.TOKEN, "ABCDEFGH"), "A" * 24, binding)
    server.step(client.first())
    with pytest.raises(AuthenticationFailed):
        server.step(message)
    assert server.identity is None


@given(st.integers(0, 200), st.characters(categories=None))
def test_a_proof_with_one_letter_changed(accounts: Accounts, where: int, letter: str) -> None:
    user = accounts.user("alice")
    device, secret = add_device(accounts, user)
    client, server = ClientLogin(device, secret), ServerLogin(accounts, mechanism_for(None))
    proof = client.answer(server.step(client.first()))
    where %= len(proof)
    if proof[where] == letter:
        return
    changed = proof[:where] + letter + proof[where + 1 :]
    # The last letter of a base64 text has bits that mean nothing.
    if changed[:-2] == proof[:-2]:
        return
    with pytest.raises(AuthenticationFailed):
        server.step(changed)


@given(MESSAGE, MESSAGE)
def test_any_server(first: str, last: str) -> None:
    client = ClientLogin(LoginName("alice", Kind.TOKEN, "ABCDEFGH"), "A" * 24)
    client.first()
    try:
        client.answer(first)
    except AuthenticationFailed:
        return
    with pytest.raises(AuthenticationFailed):
        client.finish(last)
    assert not client.done


@given(st.text(st.characters(categories=None), max_size=100))
def test_any_scram_name_has_a_verifier(accounts: Accounts, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return  # what no message can carry
    assert len(accounts.verifier(name).salt) == 16
