"""What a receipt says, and the note of a refusal, which is another paper.

Both are canonical JSON: sorted keys, no spaces, UTF-8, so that there is one text only that says the same. Each kind is
signed for a namespace of its own (`NAMESPACE` of the class): a refusal's signature is none of a receipt, whatever
is written in it. Source: docs/receipts.md section 3.
"""

# No `from __future__ import annotations`: pydantic would have to evaluate each annotation again (protocol.headers).
import hashlib
import json
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ftpsvc.exceptions import BadReceipt
from ftpsvc.receipts.sshsig import PublicKey, verify
from ftpsvc.receipts.tree import File, checked_path, collisions, in_order, tree_sha256

GENESIS: Final = "0" * 64
"""`prev` of the first receipt of a server."""

MAX_BYTES: Final = 16 << 20
"""Longest receipt that is read."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Moment = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$")]
"""UTC, to the microsecond, always of the same length: their order as text is their order in time."""
Number = Annotated[int, Field(ge=0, le=2**63 - 1)]
Name = Annotated[str, Field(min_length=1, max_length=80)]


class NoReceipt(BadReceipt):
    """What was given is no receipt, or says what cannot be."""


def moment(when: datetime) -> str:
    """Returns a time as receipts write it. It must have an offset."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def digest(paper: bytes) -> str:
    """Returns the SHA-256 of a receipt's bytes: what the next one in the chain calls `prev`."""
    return hashlib.sha256(paper).hexdigest()


class Listed(BaseModel):
    """One file of a receipt."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    path: str
    size: Number
    sha256: Sha256


class _Paper(BaseModel):
    """What both papers have."""

    NAMESPACE: ClassVar[str]

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    v: Literal[1] = 1
    course: Annotated[str, Field(max_length=80)]
    assignment: Name
    user: Name
    key: Annotated[str, Field(max_length=80)]
    """Fingerprint of the key that signs, as `ssh-keygen -l` prints it."""

    def encode(self) -> bytes:
        """Returns the canonical JSON."""
        return _canonical(self.model_dump())

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Reads one that `encode` wrote.

        Raises:
            NoReceipt: It is none, or not written exactly as `encode` writes it.
        """
        if len(text) > MAX_BYTES:
            raise NoReceipt(f"that is longer than the longest {cls._name()}")
        try:
            values = json.loads(text)
            paper = cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])[:80]
            raise NoReceipt(f"that is no {cls._name()}: {where}: {first['msg']}") from None
        except (ValueError, RecursionError):
            raise NoReceipt(f"that is no {cls._name()}: it is no JSON") from None
        if _canonical(values) != text:
            raise NoReceipt(f"that is no {cls._name()} as it was signed: it was written anew")
        return paper

    @classmethod
    def verified(cls, text: bytes, signature: str) -> tuple[Self, PublicKey]:
        """Reads a paper and checks its signature, and that it names the key that signed it.

        Returns:
            What it says, and the key, which the caller has to trust for a reason of its own.

        Raises:
            NoReceipt: As `decode`, or it names another key.
            BadSignature: The signature is not one of these bytes as a paper of this kind.
        """
        key = verify(text, signature, cls.NAMESPACE)
        paper = cls.decode(text)
        if paper.key != key.fingerprint:
            raise NoReceipt(f"the {cls._name()} names another key than the one that signed it")
        return paper, key

    @classmethod
    def _name(cls) -> str:
        return cls.__name__.lower()


class Receipt(_Paper):
    """Says that exactly these bytes, for this assignment, from this login, reached the server at this time."""

    NAMESPACE: ClassVar[str] = "ftpsvc-receipt"

    type: Literal["ftpsvc-receipt"] = "ftpsvc-receipt"
    version: Annotated[int, Field(ge=1)]
    """Number of the version, from 1 for each user and assignment."""
    begun: Moment
    """When the server first accepted the list of these files."""
    received: Moment
    """When the version was stored."""
    due: Moment
    """For this user, extensions included."""
    late_seconds: Number
    files: list[Listed]
    dropped: list[str]
    """Files that were offered and are not part of the version, since the assignment does not want them."""
    tree_sha256: Sha256
    assignment_sha256: Sha256
    """Of the assignment's file as it was then."""
    seq: Annotated[int, Field(ge=1)]
    """Number in the chain of the server."""
    prev: Sha256
    """`digest` of the receipt before it in the chain, `GENESIS` for the first."""

    @property
    def tree(self) -> list[File]:
        """The files."""
        return [File(one.path, one.size, one.sha256) for one in self.files]

    def model_post_init(self, context: Any, /) -> None:
        """Refuses what cannot be."""
        files = self.tree
        if files != in_order(files) or tree_sha256(files) != self.tree_sha256:
            raise ValueError("tree_sha256 is not that of the files")
        if any(checked_path(file.path) != file.path for file in files) or collisions(files):
            raise ValueError("the paths of the files cannot be")
        if self.begun > self.received:
            raise ValueError("it was received before it was begun")


class Refusal(_Paper):
    """Says that a hand-in was not taken, when and why. It is no receipt, and cannot be turned into one."""

    NAMESPACE: ClassVar[str] = "ftpsvc-refusal"

    type: Literal["ftpsvc-refusal"] = "ftpsvc-refusal"
    refused: Moment
    reasons: Annotated[list[str], Field(min_length=1)]
    tree_sha256: Sha256 | None = None
    """Of what was offered; None where not even that could be said."""


def _canonical(values: Any) -> bytes:
    return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )
