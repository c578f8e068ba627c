"""Receipts to try things on, made without a server."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ftpsvc.receipts.chain import Link
from ftpsvc.receipts.receipt import GENESIS, Listed, Receipt, digest, moment
from ftpsvc.receipts.sshsig import Signer
from ftpsvc.receipts.tree import File, in_order, tree_sha256

DUE = datetime(2026, 11, 24, 22, 59, tzinfo=UTC)


def new_signer(folder: Path) -> Signer:
    path = folder / "receipt_ed25519"
    path.write_bytes(Signer.generate())
    path.chmod(0o600)
    return Signer.load(path)


def files_of(contents: Mapping[str, bytes]) -> list[File]:
    return in_order(
        File(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in contents.items()
    )


def receipt(
    signer: Signer, contents: Mapping[str, bytes], *, seq: int = 1, prev: str = GENESIS, user: str = "alice",
    version: int = 1, received: datetime = DUE,
) -> Link:  # fmt: skip
    files = files_of(contents)
    paper = Receipt(
        course="prog1", assignment="hw3", user=user, version=version, begun=moment(received - timedelta(seconds=2)),
        received=moment(received), due=moment(DUE), late_seconds=0, files=[Listed(**file._asdict()) for file in files],
        dropped=[], tree_sha256=tree_sha256(files), assignment_sha256="0" * 64, seq=seq, prev=prev,
        key=signer.public.fingerprint,
    ).encode()  # fmt: skip
    return Link(paper, signer.sign(paper, Receipt.NAMESPACE))


def chain(signer: Signer, count: int) -> list[Link]:
    links: list[Link] = []
    prev = GENESIS
    for number in range(1, count + 1):
        links.append(
            receipt(
                signer, {"a.py": b"%d" % number}, seq=number, prev=prev, version=number,
                received=DUE + timedelta(minutes=number),
            )
        )  # fmt: skip
        prev = digest(links[-1].paper)
    return links
