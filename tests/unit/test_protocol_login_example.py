"""The log-in of docs/protocol.md section 10.6, computed from RFC 5802 alone, and answered by the server's own half."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import pytest

from ftpsvc.accounts.scram import ServerLogin
from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import PLAIN, Kind, Verifier
from tests.helpers.examples import load

CODE = b"K7QM2XWP9HTFC4VB"
SECRETS = {
    "issue-token": (b"23456789ABCDEFGHJKLMNPQR", Kind.TOKEN),
    "set-password": (b"correct horse battery", Kind.PASSWORD),
}
(EXAMPLE,) = (each for each in load() if each.name == "log-in")
ASKED = [message.header for message in EXAMPLE.said_by("C")]
ANSWERED = [message.header for message in EXAMPLE.said_by("S")][1:]
CLIENT_FIRST, CLIENT_FINAL = (header["data"] for header in ASKED[:2])
SERVER_FIRST, SERVER_FINAL = (header["data"] for header in ANSWERED[:2])


def keys(secret: bytes, salt: bytes, iterations: int) -> tuple[bytes, bytes, bytes]:
    """ClientKey, StoredKey and ServerKey (RFC 5802 section 3)."""
    salted = hashlib.pbkdf2_hmac("sha256", secret, salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    return client, hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")


def attributes(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


def test_proof_and_signature_are_those_of_the_rfc() -> None:
    offer, final = attributes(SERVER_FIRST), attributes(CLIENT_FINAL)
    client, stored, server = keys(CODE, base64.b64decode(offer["s"]), int(offer["i"]))
    without_proof = CLIENT_FINAL.rpartition(",p=")[0]
    signed = f"{CLIENT_FIRST.removeprefix('n,,')},{SERVER_FIRST},{without_proof}".encode()
    signature = hmac.digest(stored, signed, "sha256")
    assert base64.b64decode(final["p"]) == bytes(a ^ b for a, b in zip(client, signature, strict=True))
    assert attributes(SERVER_FINAL)["v"] == base64.b64encode(hmac.digest(server, signed, "sha256")).decode()
    assert attributes(CLIENT_FIRST)["n"] == "alice#code"
    assert final["r"] == offer["r"]
    assert base64.b64decode(final["c"]) == b"n,,"


@pytest.mark.parametrize("op", SECRETS)
def test_a_verifier_is_what_its_text_form_says(op: str) -> None:
    (text,) = (header["verifier"] for header in ASKED if header["op"] == op)
    secret, kind = SECRETS[op]
    mechanism, offer, held = text.split("$")
    iterations, salt = offer.split(":")
    _, stored, server = keys(secret, base64.b64decode(salt), int(iterations))
    assert mechanism == PLAIN
    assert [base64.b64decode(key) for key in held.split(":")] == [stored, server]
    assert Verifier.parse(text, kind).encode() == text


def test_the_server_answers_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the salt and the nonce of the page in place of random ones."""
    offer, asked = attributes(SERVER_FIRST), attributes(CLIENT_FIRST)
    monkeypatch.setattr("ftpsvc.scram.secrets.token_bytes", lambda _: base64.b64decode(offer["s"]))
    monkeypatch.setattr("ftpsvc.accounts.store.new_code", CODE.decode)
    monkeypatch.setattr("scramp.core.token_hex", lambda: offer["r"].removeprefix(asked["r"]))
    with Accounts(tmp_path) as accounts:
        accounts.add("alice")
        accounts.issue_code("alice")
        login = ServerLogin(accounts, PLAIN)
        assert login.step(CLIENT_FIRST) == SERVER_FIRST
        assert login.step(CLIENT_FINAL) == SERVER_FINAL
        assert login.identity is not None
        assert login.identity.user.name == ANSWERED[1]["user"]
        assert login.identity.user.role == ANSWERED[1]["role"]
        assert login.identity.kind == ANSWERED[2]["via"]
