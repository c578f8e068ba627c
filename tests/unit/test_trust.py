"""Which certificates a client believes, and what it keeps of that."""

import os
import stat
from pathlib import Path

import pytest

from ftpsvc.addresses import Address
from ftpsvc.certificates import fingerprint, shown
from ftpsvc.exceptions import CertificateChanged, CertificateMismatch, ConfigError, UnknownCertificate
from ftpsvc_client import connect
from ftpsvc_client.trust import Fixed, Pins

ONE, OTHER = b"one certificate", b"another certificate"
HERE = Address.parse("ftpsvc://example.org:9021")
THERE = Address.parse("ftpsvc://example.org:9022")


def refuse(address: Address, found: str) -> bool:
    raise AssertionError("nobody is to be asked")


def test_a_fixed_fingerprint() -> None:
    trust = Fixed("SHA256:" + shown(fingerprint(ONE)))
    trust.check(HERE, ONE)
    with pytest.raises(CertificateMismatch) as caught:
        trust.check(HERE, OTHER)
    assert not isinstance(caught.value, CertificateChanged)
    assert (caught.value.address, caught.value.expected, caught.value.fingerprint) == (
        str(HERE),
        fingerprint(ONE),
        fingerprint(OTHER),
    )
    assert shown(fingerprint(ONE)) in str(caught.value)
    assert shown(fingerprint(OTHER)) in str(caught.value)


def test_an_unknown_server_is_refused_where_there_is_nobody_to_ask(tmp_path: Path) -> None:
    with pytest.raises(UnknownCertificate) as caught:
        Pins(str(tmp_path)).check(HERE, ONE)
    assert caught.value.fingerprint == fingerprint(ONE)
    assert "--fingerprint" in (caught.value.hint or "")
    assert list(tmp_path.iterdir()) == []


def test_a_person_is_asked_once_and_the_answer_is_kept(tmp_path: Path) -> None:
    asked: list[tuple[Address, str]] = []

    def ask(address: Address, found: str) -> bool:
        asked.append((address, found))
        return len(asked) > 1

    pins = Pins(str(tmp_path), ask=ask)
    with pytest.raises(UnknownCertificate):
        pins.check(HERE, ONE)
    assert pins.get(HERE) is None
    pins.check(HERE, ONE)
    pins.check(HERE, ONE)
    Pins(str(tmp_path), ask=refuse).check(HERE, ONE)
    assert asked == [(HERE, fingerprint(ONE))] * 2


def test_a_changed_certificate_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    pins = Pins(str(tmp_path), ask=refuse)
    pins.pin(HERE, fingerprint(ONE))
    with pytest.raises(CertificateChanged) as caught:
        pins.check(HERE, OTHER)
    assert (caught.value.expected, caught.value.fingerprint) == (fingerprint(ONE), fingerprint(OTHER))
    assert shown(fingerprint(OTHER)) in str(caught.value)
    assert pins.get(HERE) == fingerprint(ONE)
    pins.proved(HERE, OTHER)
    pins.check(HERE, OTHER)


def test_what_a_person_was_given_holds_against_everything(tmp_path: Path) -> None:
    pins = Pins(str(tmp_path))
    pins.pin(HERE, fingerprint(ONE))
    given = Pins(str(tmp_path), ask=refuse, expected=shown(fingerprint(OTHER)))
    with pytest.raises(CertificateMismatch):
        given.check(HERE, ONE)  # the one that is pinned
    assert pins.get(HERE) == fingerprint(ONE)
    given.check(HERE, OTHER)
    assert pins.get(HERE) == fingerprint(OTHER)


def test_each_server_has_its_own_and_its_owner_only_can_read_it(tmp_path: Path) -> None:
    pins = Pins(str(tmp_path / "new"))
    pins.pin(HERE, fingerprint(ONE))
    pins.pin(THERE, fingerprint(OTHER))
    assert (pins.get(HERE), pins.get(THERE)) == (fingerprint(ONE), fingerprint(OTHER))
    files = list((tmp_path / "new" / "servers").iterdir())
    assert len(files) == 2
    if os.name == "posix":
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert pins.forget(HERE)
    assert not pins.forget(HERE)
    assert pins.get(HERE) is None


@pytest.mark.parametrize("content", ["", "{}", '{"fingerprint": "no hex"}', "[]", '{"fingerprint": 7}'])
def test_a_damaged_pin_is_not_taken_for_a_server_that_was_never_seen(tmp_path: Path, content: str) -> None:
    pins = Pins(str(tmp_path), ask=refuse)
    pins.pin(HERE, fingerprint(ONE))
    (file,) = (tmp_path / "servers").iterdir()
    file.write_text(content)
    with pytest.raises(ConfigError, match="damaged") as caught:
        pins.check(HERE, ONE)
    assert "remove" in (caught.value.hint or "")


def test_a_fingerprint_is_for_tls_only() -> None:
    with pytest.raises(ConfigError, match="ftpsvc://"):
        connect("ftpsvc+tcp://127.0.0.1:9", fingerprint="0" * 64)
    with pytest.raises(ConfigError, match="not together"):
        connect("ftpsvc://127.0.0.1:9", fingerprint="0" * 64, trust=Fixed("0" * 64))
    with pytest.raises(ConfigError, match="no fingerprint"):
        connect("ftpsvc://127.0.0.1:9", fingerprint="0")
