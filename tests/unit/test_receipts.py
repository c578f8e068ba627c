"""Receipts: what they say, how they are signed and chained, and that nothing about them can be changed unseen."""

import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ftpsvc.exceptions import BadReceipt, ConfigError, InvalidPath
from ftpsvc.receipts import ed25519
from ftpsvc.receipts.chain import Audit, Head, Link
from ftpsvc.receipts.receipt import GENESIS, Receipt, Refusal, digest, moment
from ftpsvc.receipts.sshsig import PublicKey, Signer, read_signers, verify
from ftpsvc.receipts.tree import File, checked_path, checksums, collisions, tree_sha256
from tests.helpers import receipts
from tests.helpers.counts import count

OPENSSH = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH's ssh-keygen")
CONTENTS = {"paths.py": b"print(1)\n", "lib/a b.py": b"", "lib/\xe9.py": b"x", "B.py": b"y"}


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return receipts.new_signer(tmp_path_factory.mktemp("key"))


def faults(signer: Signer, links: list[Link]) -> list[str]:
    audit = Audit([signer.public])
    return [fault.text for link in links for fault in audit.take(link)]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs coreutils")
def test_the_tree_digest_is_what_standard_tools_print(tmp_path: Path) -> None:
    for name, data in CONTENTS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    script = r"LC_ALL=C find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    printed = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    files = receipts.files_of(CONTENTS)
    assert printed.split()[0] == tree_sha256(files) == tree_sha256(reversed(files))
    check = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet"],
        cwd=tmp_path,
        input=checksums(files).encode(),
        check=False,
    )
    assert check.returncode == 0


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../a", "a/../../b", "", ".", "a\\b", "a\nb", "x" * 300, "d/" * 80 + "f"]
)
def test_c14_c15_a_path_that_leaves_its_folder_is_none(path: str) -> None:
    with pytest.raises(InvalidPath):
        checked_path(path)


def test_files_that_cannot_be_together_are_named() -> None:
    files = [File(path, 0, "0" * 64) for path in ("a", "a/b", "c", "c", "ab")]
    assert collisions(files) == ["c: is named twice", "a/b: a is a file"]


@given(st.binary(max_size=200), st.integers(0, 511), st.integers(0, 255))
@settings(max_examples=25, deadline=None)
def test_signatures_are_checked_as_the_library_does(message: bytes, bit: int, other: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes([other]) * 32)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert ed25519.verify(public, message, signature)
    assert not ed25519.verify(public, message + b"x", signature)
    flipped = bytearray(signature)
    flipped[bit // 8] ^= 1 << bit % 8
    assert not ed25519.verify(public, message, bytes(flipped))


def test_rfc_8032_examples_and_what_is_no_signature() -> None:
    # RFC 8032 section 7.1, TEST 1 and TEST 2
    one = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signed = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    two = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    other = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert ed25519.verify(one, b"", signed)
    assert ed25519.verify(two, b"\x72", other)
    order = 2**252 + 27742317777372353535851937790883648493
    again = signed[:32] + (int.from_bytes(signed[32:], "little") + order).to_bytes(32, "little")
    assert not ed25519.verify(one, b"", again), "the same signature written in another way"
    assert not ed25519.verify(one, b"", signed[:63])
    assert not ed25519.verify(b"\xff" * 32, b"", signed)
    assert not ed25519.verify(one[:31], b"", signed)


@OPENSSH
def test_openssh_makes_the_same_signature_and_believes_ours(signer: Signer, tmp_path: Path) -> None:
    path = tmp_path / "k"
    path.write_bytes(Signer.generate())
    path.chmod(0o600)
    own = Signer.load(path)
    paper, signature = receipts.receipt(own, CONTENTS)
    (tmp_path / "r.json").write_bytes(paper)
    (tmp_path / "r.json.sig").write_text(signature)
    (tmp_path / "signers").write_text(own.public.allowed_signers([Receipt.NAMESPACE]) + "\n")

    def believed(content: bytes, namespace: str = Receipt.NAMESPACE) -> bool:
        command = [
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            "signers",
            "-I",
            "ftpsvc",
            "-n",
            namespace,
            "-s",
            "r.json.sig",
        ]
        return (
            subprocess.run(command, cwd=tmp_path, input=content, capture_output=True, check=False).returncode
            == 0
        )

    assert believed(paper)
    assert not believed(paper.replace(b"alice", b"alicf"))
    assert not believed(paper, Refusal.NAMESPACE)
    (tmp_path / "m").write_bytes(paper)
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", "k", "-n", Receipt.NAMESPACE, "m"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / "m.sig").read_text() == signature
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", "k"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert own.public.fingerprint in shown.stdout
    line = subprocess.run(
        ["ssh-keygen", "-y", "-f", "k"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert PublicKey.parse(line.stdout) == own.public
    assert read_signers("# the course\n\n" + (tmp_path / "signers").read_text()) == [own.public]


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    for line in ("", "ssh-ed25519", "ssh-ed25519 ====", "ssh-ed25519 AAAA", "ssh-rsa AAAAB3NzaC1yc2E="):
        with pytest.raises(ConfigError):
            PublicKey.parse(line)
    with pytest.raises(ConfigError):
        Signer.load(tmp_path / "missing")
    (tmp_path / "k").write_text("no key")
    with pytest.raises(ConfigError):
        Signer.load(tmp_path / "k")


def test_any_flipped_bit_is_found(signer: Signer) -> None:
    paper, signature = receipts.receipt(signer, CONTENTS)
    assert Receipt.verified(paper, signature)[1] == signer.public
    whole = paper + signature.encode()
    step = max(1, 8 * len(whole) // count(150, 8 * len(whole)))
    for bit in range(0, 8 * len(whole), step):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        text = bytes(changed[len(paper) :]).decode("utf-8", "replace")
        with pytest.raises(BadReceipt):
            Receipt.verified(bytes(changed[: len(paper)]), text)


def test_a_paper_is_signed_in_one_spelling_only(signer: Signer) -> None:
    paper, signature = receipts.receipt(signer, CONTENTS)
    fields = json.loads(paper)
    spaced = json.dumps(fields).encode()
    with pytest.raises(BadReceipt, match="written anew"):
        Receipt.verified(spaced, signer.sign(spaced, Receipt.NAMESPACE))
    for crooked in (signature + "\n", signature.replace("\n", "\r\n"), signature.rstrip(), "", "\n" * 5000):
        with pytest.raises(BadReceipt):
            verify(paper, crooked, Receipt.NAMESPACE)
    for wrong in (
        {"tree_sha256": "0" * 64}, {"begun": moment(receipts.DUE + timedelta(days=1))},
        {"files": fields["files"][::-1]},
        {"more": 1}, {"seq": "1"}, {"seq": True}, {"v": 2}, {"key": "SHA256:other"},
    ):  # fmt: skip
        text = json.dumps(fields | wrong, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        with pytest.raises(BadReceipt):
            Receipt.verified(text, signer.sign(text, Receipt.NAMESPACE))
    for rubbish in (b"", b"[]", b"[" * 100_000, b"\xff", b'{"v":NaN}'):
        with pytest.raises(BadReceipt):
            Receipt.decode(rubbish)


def test_a_refusal_cannot_pass_for_a_receipt(signer: Signer) -> None:
    note = Refusal(
        course="prog1", assignment="hw3", user="alice", key=signer.public.fingerprint, refused=moment(receipts.DUE),
        reasons=["paths.py is missing"],
    ).encode()  # fmt: skip
    signature = signer.sign(note, Refusal.NAMESPACE)
    assert Refusal.verified(note, signature)[0].reasons == ["paths.py is missing"]
    with pytest.raises(BadReceipt, match="another purpose"):
        Receipt.verified(note, signature)
    paper, _ = receipts.receipt(signer, CONTENTS)
    with pytest.raises(BadReceipt):
        Receipt.verified(paper, signer.sign(paper, Refusal.NAMESPACE))
    with pytest.raises(BadReceipt):
        Receipt.verified(note, signer.sign(note, Receipt.NAMESPACE))


def test_a_receipt_that_is_removed_moved_changed_or_added_is_found(signer: Signer, tmp_path: Path) -> None:
    links = receipts.chain(signer, 5)
    assert faults(signer, links) == []
    one, two, three, four, five = links
    assert any("3 where 2 is due" in fault for fault in faults(signer, [one, three, four, five]))
    assert any("2 where 1 is due" in fault for fault in faults(signer, [two, three]))
    assert any("removed, added or moved" in fault for fault in faults(signer, [one, three, two, four, five]))
    assert any("removed, added or moved" in fault for fault in faults(signer, [one, two, two, three]))
    broken = Link(three.paper.replace(b'"a.py"', b'"b.py"'), three.signature)
    assert any("not one of this content" in fault for fault in faults(signer, [one, two, broken, four, five]))
    other = receipts.new_signer(tmp_path)
    assert any("not the server's" in fault for fault in faults(signer, [*links, *receipts.chain(other, 1)]))


def test_a_receipt_that_is_back_dated_is_found_though_the_key_signed_it(signer: Signer) -> None:
    links = receipts.chain(signer, 3)
    head = digest(links[-1].paper)
    late = receipts.receipt(
        signer, {"a.py": b""}, seq=4, prev=head, version=4, received=receipts.DUE - timedelta(hours=1)
    )
    assert any("back-dated" in fault for fault in faults(signer, [*links, late]))
    # Rewritten from there on with the true key: the chain fits, and only what was published before tells.
    again = [
        *links[:1],
        receipts.receipt(signer, {"a.py": b"z"}, seq=2, prev=digest(links[0].paper), version=2),
    ]
    audit = Audit([signer.public])
    heads = {audit.head for link in again if not list(audit.take(link))}
    assert Head(2, digest(links[1].paper)) not in heads
    assert any("where 4 is due" in fault for fault in faults(signer, [
        *links, receipts.receipt(signer, {}, seq=4, prev=head, version=2, received=receipts.DUE + timedelta(hours=1))
    ]))  # fmt: skip


def test_a_head_is_written_and_read() -> None:
    head = Head(3, "ab" * 32)
    assert Head.parse(f" {head}\n") == head
    assert str(Audit([]).head) == f"0:{GENESIS}"
    for text in ("", "3", "3:ab", "x:" + "ab" * 32, "²:" + "ab" * 32):
        with pytest.raises(ConfigError):
            Head.parse(text)
