"""The server's certificate: made once, kept private, refused when clients could not use it, read again."""

import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from ftpsvc.certificates import binding, fingerprint
from ftpsvc.exceptions import ConfigError
from ftpsvc.server.tls import FILE, FOLDER, Certificates, load, make
from tests.helpers import certs


def test_the_first_start_makes_a_certificate_and_the_next_keeps_it(tmp_path: Path) -> None:
    first = Certificates(tmp_path)
    assert first.current.made
    assert first.current.days_left > 365 * 10
    assert first.notes() == []
    again = Certificates(tmp_path)
    assert not again.current.made
    assert again.current.fingerprint == first.current.fingerprint
    assert again.current.binding == first.current.binding
    file = tmp_path / FOLDER / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert os.listdir(file.parent) == [FILE]


def test_of_many_that_start_at_once_all_use_one_certificate(tmp_path: Path) -> None:
    begin = threading.Barrier(8)
    found: list[str] = []

    def start() -> None:
        begin.wait()
        found.append(Certificates(tmp_path).current.fingerprint)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert os.listdir(tmp_path / FOLDER) == [FILE]


def test_ones_own_certificate_in_two_files_or_one(tmp_path: Path) -> None:
    pair = certs.make(certs.rsa_key(), hashes.SHA384())
    certificate, key = pair.write(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(pair.key + pair.certificate + certs.make().certificate)  # with a chain behind it
    both.chmod(0o600)
    for identity in (load(certificate, key), load(both)):
        assert identity.fingerprint == fingerprint(pair.der)
        assert identity.binding == binding(pair.der)
        assert len(identity.binding) == 48
        assert identity.context.num_tickets == 0


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    certificate, _ = certs.make().write(tmp_path, "one")
    _, key = certs.make().write(tmp_path, "other")
    with pytest.raises(ConfigError, match=r"other\.key does not belong to the certificate .*one\.crt"):
        load(certificate, key)


@pytest.mark.parametrize(
    ("days", "complaint"), [((-10, -1), "has expired"), ((5, 10), "is not valid before")]
)
def test_a_certificate_out_of_its_time_is_refused(
    tmp_path: Path, days: tuple[int, int], complaint: str
) -> None:
    begins, ends = (certs.NOW + number * certs.DAY for number in days)
    files = certs.make(begins=begins, ends=ends).write(tmp_path)
    with pytest.raises(ConfigError, match=complaint):
        load(*files)


@pytest.mark.parametrize("pair", [certs.ed25519_pair, certs.ed448_pair])
def test_a_certificate_that_nothing_can_be_bound_to_is_refused(tmp_path: Path, pair: object) -> None:
    assert callable(pair)
    files = pair().write(tmp_path)
    with pytest.raises(ConfigError, match="names no hash"):
        load(*files)


def test_an_encrypted_key_is_refused_without_asking(tmp_path: Path) -> None:
    files = certs.make(password=b"secret").write(tmp_path)
    with pytest.raises(ConfigError, match="encrypted") as caught:
        load(*files)
    assert "openssl pkey" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "content", [b"", b"noise", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "f.pem"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="hold no certificate with its key"):
        load(file)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "missing")
    with pytest.raises(ConfigError, match="no file"):
        load(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError, match="no file"):
        load(tmp_path / "fifo")


def test_a_damaged_certificate_of_ours_is_not_replaced_in_silence(tmp_path: Path) -> None:
    Certificates(tmp_path)
    (tmp_path / FOLDER / FILE).write_bytes(b"")
    with pytest.raises(ConfigError) as caught:
        Certificates(tmp_path)
    assert "backup" in (caught.value.hint or "")
    assert not make(tmp_path)


def test_reading_again_keeps_the_old_one_when_the_new_one_is_bad(tmp_path: Path) -> None:
    files = certs.make().write(tmp_path)
    certificates = Certificates(tmp_path, *files)
    first = certificates.current
    certs.ed25519_pair().write(tmp_path)
    with pytest.raises(ConfigError):
        certificates.reload()
    assert certificates.current is first
    new = certs.make()
    new.write(tmp_path)
    assert certificates.reload().fingerprint == fingerprint(new.der) == certificates.current.fingerprint
    assert first.fingerprint != certificates.current.fingerprint
    assert first.context is not certificates.current.context


def test_what_the_operator_is_told(tmp_path: Path) -> None:
    files = certs.make(ends=certs.NOW + 30 * certs.DAY).write(tmp_path)
    (note,) = Certificates(tmp_path, *files).notes()
    assert "expires in 29 days" in note


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o666])
def test_a_key_that_everybody_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    pair = certs.make()
    certificate, key = pair.write(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(pair.key + pair.certificate)
    for path, files in ((key, (certificate, key)), (both, (both, None))):
        path.chmod(mode)
        with pytest.raises(ConfigError, match="everybody on this machine") as caught:
            load(*files)
        assert caught.value.hint == f"chmod 600 {path}"
        path.chmod(0o640)  # a group of the operator's own is his business
        load(*files)
