"""Log-ins over TLS: bound to the certificate, whoever stands in between and whatever the client was told (C38)."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives import hashes

from ftpsvc.accounts.store import Accounts
from ftpsvc.addresses import Address
from ftpsvc.certificates import binding, fingerprint
from ftpsvc.credentials import Credentials, Kind
from ftpsvc.exceptions import (
    AuthenticationFailed,
    CertificateChanged,
    CertificateMismatch,
    UnknownCertificate,
    UnusableCertificate,
)
from ftpsvc.scram import ClientLogin
from ftpsvc.server.daemon import Daemon
from ftpsvc_client import connect
from ftpsvc_client.trust import Pins
from tests.helpers import certs
from tests.helpers.embedded import embedded, where
from tests.helpers.middle import Header, Middle, middle
from tests.helpers.raw_peer import frame
from tests.helpers.tls_peer import TlsPeer

ANY_TLS_PORT = "ftpsvc://127.0.0.1:0"
PASSWORD = "correct horse"


class Place(NamedTuple):
    """A running server with one user who has everything to log in by."""

    daemon: Daemon
    url: str
    fingerprint: str
    root: Path
    code: Credentials
    password: Credentials
    token: Credentials

    def of(self, kind: str) -> Credentials:
        credentials: Credentials = getattr(self, kind)
        return credentials


@contextmanager
def place(root: Path, **settings: Any) -> Iterator[Place]:
    with embedded(root, guest="none", listen=(ANY_TLS_PORT,), **settings) as daemon:
        url = str(daemon.addresses[0])
        assert daemon.certificates is not None
        shown = daemon.certificates.current.fingerprint
        with Accounts(root) as accounts:
            accounts.add("alice")
            first = Credentials.code("alice", accounts.issue_code("alice"))
            with connect(url, credentials=first, fingerprint=shown) as client:
                client.set_password(PASSWORD)
                token = client.issue_token("test")
            second = accounts.issue_code("alice")
        yield Place(
            daemon, url, shown, root, Credentials.code("alice", second), Credentials.password("alice", PASSWORD),
            Credentials.token("alice", token),
        )  # fmt: skip


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("identity") / "root") as found:
        yield found


KINDS = pytest.mark.parametrize("kind", ["code", "password", "token"])


class Anything:
    """Trusts every certificate: a person who says yes without looking."""

    def check(self, address: Address, certificate: bytes) -> None:
        pass

    def proved(self, address: Address, certificate: bytes) -> None:
        pass


def auths(between: Middle) -> list[Header]:
    return [header for header in between.from_client if header["op"] == "auth"]


@pytest.mark.parametrize("kind", ["password", "token"])  # `place` has logged in by a code
def test_log_in_over_tls_is_bound(here: Place, kind: str) -> None:
    with connect(here.url, credentials=here.of(kind), fingerprint=here.fingerprint) as client:
        assert client.whoami().user == "alice"
        assert client.certificate is not None
        assert fingerprint(client.certificate) == here.fingerprint
        assert client.greeting.mechanisms == ["SCRAM-SHA-256-PLUS"]


def test_who_is_logged_in_may_send_long_headers(here: Place) -> None:
    path = "/".join(["d" * 250] * 12)
    with connect(here.url, credentials=here.token, fingerprint=here.fingerprint) as client:
        assert client.greeting.limits.header == 4096
        client.mkdir(path, parents=True)
        client.rename(path, f"{path}2")
        assert client.stat(f"{path}2").kind == "dir"


# ---------------------------------------------------------------- in the middle


@KINDS
def test_c38_relaying_fails_also_on_first_use_with_the_right_secret(here: Place, kind: str) -> None:
    with middle(here.url) as between:
        with pytest.raises(AuthenticationFailed, match="bound to another certificate"):
            connect(between.url, credentials=here.of(kind), trust=Anything())
        assert between.connections == 1
        assert [header["op"] for header in between.from_client] == ["auth", "auth"]
        assert between.from_server[-1]["status"] == "error"


def test_c37_c38_the_refusal_is_the_same_for_a_user_who_does_not_exist(here: Place) -> None:
    texts = set()
    for name in ("alice", "nobody"):
        with middle(here.url) as between:
            with pytest.raises(AuthenticationFailed) as caught:
                connect(between.url, credentials=Credentials.password(name, PASSWORD), trust=Anything())
            texts.add(str(caught.value))
            del between.from_server[-1]["message"]
    assert len(texts) == 1


@KINDS
def test_c38_a_wrong_fingerprint_gets_not_one_byte(here: Place, kind: str) -> None:
    with middle(here.url) as between:
        with pytest.raises(CertificateMismatch) as caught:
            connect(between.url, credentials=here.of(kind), fingerprint=here.fingerprint)
        assert caught.value.expected == here.fingerprint
        assert caught.value.fingerprint == fingerprint_of(between)
        assert between.from_client == []


def fingerprint_of(between: Middle) -> str:
    host, _, port = between.url.partition("://")[2].rpartition(":")
    with TlsPeer((host, int(port))) as peer:
        shown = peer.sock.getpeercert(binary_form=True)  # type: ignore[attr-defined]
    return fingerprint(shown)


@KINDS
def test_c38_a_server_that_nobody_knows_gets_not_one_byte(here: Place, kind: str, tmp_path: Path) -> None:
    with middle(here.url) as between:
        with pytest.raises(UnknownCertificate):
            connect(between.url, credentials=here.of(kind), trust=Pins(str(tmp_path)))
        with pytest.raises(UnknownCertificate):
            connect(
                between.url, credentials=here.of(kind)
            )  # nothing said: the user's pins, and nobody to ask
        assert between.from_client == []


@pytest.mark.parametrize("kind", ["code", "password"])
def test_c38_a_changed_certificate_gets_not_one_byte(here: Place, kind: str, tmp_path: Path) -> None:
    with middle(here.url) as between:
        pins = Pins(str(tmp_path))
        pins.pin(Address.parse(between.url), here.fingerprint)
        with pytest.raises(CertificateChanged) as caught:
            connect(between.url, credentials=here.of(kind), trust=pins)
        assert between.from_client == []
        assert caught.value.expected == here.fingerprint
        assert "somebody is in between" in str(caught.value)
        assert pins.get(Address.parse(between.url)) == here.fingerprint


def test_c38_a_token_proves_nothing_to_a_machine_in_the_middle(here: Place, tmp_path: Path) -> None:
    with middle(here.url) as between:
        pins = Pins(str(tmp_path))
        pins.pin(Address.parse(between.url), here.fingerprint)
        with pytest.raises(CertificateChanged):
            connect(between.url, credentials=here.token, trust=pins)
        assert [header["op"] for header in between.from_client] == ["auth", "auth"]
        assert pins.get(Address.parse(between.url)) == here.fingerprint


# ---------------------------------------------------------------- downgrades


def test_c38_the_mechanism_is_not_taken_from_the_greeting(here: Place) -> None:
    with middle(here.url) as between:
        between.rewrite = lambda header: (
            header | ({"mechanisms": ["SCRAM-SHA-256"]} if "service" in header else {})
        )
        with pytest.raises(AuthenticationFailed):
            connect(between.url, credentials=here.password, trust=Anything())
        assert {header.get("mechanism", "SCRAM-SHA-256-PLUS") for header in auths(between)} == {
            "SCRAM-SHA-256-PLUS"
        }


def test_c38_a_refused_mechanism_is_not_replaced_by_a_weaker_one(here: Place) -> None:
    with middle(here.url) as between:
        between.rewrite = lambda header: header if "service" in header else {
            "status": "error", "code": "auth-required", "message": "only SCRAM-SHA-256 here"
        }  # fmt: skip
        with pytest.raises(AuthenticationFailed, match="only SCRAM-SHA-256 here"):
            connect(between.url, credentials=here.password, trust=Anything())
        assert len(auths(between)) == 1


def test_c38_too_few_iterations_get_no_proof(here: Place) -> None:
    def weaker(header: Header) -> Header:
        if "data" in header:
            header["data"] = ",".join(
                "i=4096" if part.startswith("i=") else part for part in header["data"].split(",")
            )
        return header

    with middle(here.url) as between:
        between.rewrite = weaker
        with pytest.raises(AuthenticationFailed, match="iterations"):
            connect(between.url, credentials=here.password, trust=Anything())
        assert len(auths(between)) == 1
        assert "p=" not in auths(between)[0]["data"].partition(",,")[2]


@pytest.mark.parametrize("flag", ["n", "y"])
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
def test_c38_the_server_takes_no_log_in_that_is_not_bound(here: Place, mechanism: str, flag: str) -> None:
    login = ClientLogin(here.token.name, here.token.secret)
    with TlsPeer(where(here.daemon)) as peer:
        first = flag + login.first().removeprefix("n")
        answer = peer.ask("auth", mechanism=mechanism, data=first)
        assert answer["status"] == "error"
        assert answer["code"] == "auth-required"
        assert peer.ask("whoami").get("user") is None


def test_c38_another_binding_type_is_refused(here: Place) -> None:
    login = ClientLogin(here.token.name, here.token.secret, b"x" * 32)
    with TlsPeer(where(here.daemon)) as peer:
        first = login.first()
        assert first.startswith("p=tls-server-end-point,")
        for other in ("tls-unique", "tls-exporter"):
            data = first.replace("tls-server-end-point", other)
            assert peer.ask("auth", mechanism="SCRAM-SHA-256-PLUS", data=data)["status"] == "error"


# ---------------------------------------------------------------- other certificates


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(lambda: certs.make(algorithm=hashes.SHA384()), id="ecdsa-sha384"),
        pytest.param(lambda: certs.make(certs.rsa_key()), id="rsa-sha256"),
        pytest.param(lambda: certs.make(certs.rsa_key(), hashes.SHA512()), id="rsa-sha512"),
        pytest.param(lambda: certs.make(certs.rsa_key(), hashes.SHA384(), pss=True), id="rsa-pss-sha384"),
    ],
)
def test_other_certificates_bind_too(pair: Any, tmp_path: Path) -> None:
    made = pair()
    certificate, key = made.write(tmp_path)
    with place(tmp_path / "root", tls={"certificate": certificate, "key": key}) as found:
        assert found.fingerprint == fingerprint(made.der)
        with connect(found.url, credentials=found.token, fingerprint=found.fingerprint) as client:
            assert client.whoami().via == Kind.TOKEN


def test_a_server_with_an_ed25519_certificate_gets_nothing(here: Place) -> None:
    with middle(here.url, certs.context_of(certs.ed25519_pair())) as between:
        with pytest.raises(UnusableCertificate, match="Ed25519"):
            connect(between.url, credentials=here.password, trust=Anything())
        assert between.from_client == []


# ---------------------------------------------------------------- a new certificate


def test_a_new_certificate_is_pinned_after_a_token_log_in_and_not_before(tmp_path: Path) -> None:
    certificate, key = certs.make().write(tmp_path)
    with place(tmp_path / "root", tls={"certificate": certificate, "key": key}) as found:
        address = Address.parse(found.url)
        pins = Pins(str(tmp_path / "state"), ask=lambda address, shown: shown == found.fingerprint)
        connect(found.url, credentials=found.password, trust=pins).close()
        assert pins.get(address) == found.fingerprint

        new = certs.make()
        new.write(tmp_path)
        found.daemon.reload()
        for credentials in (found.password, None):
            with pytest.raises(CertificateChanged):
                connect(found.url, credentials=credentials, trust=pins)
        assert pins.get(address) == found.fingerprint
        with connect(found.url, credentials=found.token, trust=pins) as client:
            assert client.whoami().user == "alice"
        assert pins.get(address) == fingerprint(new.der)
        connect(found.url, credentials=found.password, trust=pins).close()


def test_a_connection_keeps_the_certificate_that_it_was_accepted_with(tmp_path: Path) -> None:
    certificate, key = certs.make().write(tmp_path)
    with place(tmp_path / "root", tls={"certificate": certificate, "key": key}) as found:
        assert found.daemon.certificates is not None
        login = ClientLogin(found.token.name, found.token.secret, found.daemon.certificates.current.binding)
        with TlsPeer(where(found.daemon)) as peer:
            certs.make(certs.rsa_key(), hashes.SHA384()).write(tmp_path)
            found.daemon.reload()
            assert found.daemon.certificates.current.fingerprint != found.fingerprint
            answer = peer.ask("auth", mechanism=login.mechanism, data=login.first())
            last = peer.ask("auth", data=login.answer(answer["data"]))
            assert last["status"] == "ok", last
            login.finish(last["data"])
            assert login.done


def test_what_is_bound_is_what_is_shown_also_when_it_changes_in_the_handshake(tmp_path: Path) -> None:
    certificate, key = certs.make().write(tmp_path)
    with place(tmp_path / "root", tls={"certificate": certificate, "key": key}) as found:
        for _ in range(10):
            assert found.daemon.registry.wait_empty(60)
            with socket.create_connection(where(found.daemon), 60) as bare:
                while not any(thread.name.startswith("connection ") for thread in threading.enumerate()):
                    pass
                certs.make().write(tmp_path)
                found.daemon.reload()
                with certs.client_context().wrap_socket(bare) as sock:
                    shown = sock.getpeercert(binary_form=True)
                    assert shown is not None
                    login = ClientLogin(found.token.name, found.token.secret, binding(shown))
                    stream = sock.makefile("rb")
                    with stream:
                        read_header(stream)
                        sock.sendall(
                            frame({"op": "auth", "mechanism": login.mechanism, "data": login.first()})
                        )
                        answer = read_header(stream)
                        sock.sendall(frame({"op": "auth", "data": login.answer(answer["data"])}))
                        assert read_header(stream)["status"] == "ok"


def read_header(stream: Any) -> Header:
    header: Header = json.loads(stream.read(int.from_bytes(stream.read(4))))
    return header


def test_a_person_may_say_that_a_new_certificate_is_right(tmp_path: Path) -> None:
    with place(tmp_path / "root") as found:
        address = Address.parse(found.url)
        pins = Pins(str(tmp_path / "state"))
        pins.pin(address, "0" * 64)
        with pytest.raises(CertificateChanged):
            connect(found.url, credentials=found.password, trust=pins)
        said = Pins(str(tmp_path / "state"), expected=found.fingerprint)
        connect(found.url, credentials=found.password, trust=said).close()
        assert pins.get(address) == found.fingerprint
