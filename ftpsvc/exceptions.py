"""Every error that ftpsvc raises on purpose, and the one table between classes and wire codes.

    FtpsvcError
    ├ ProtocolError                what went over the wire, or was about to, is not the protocol
    │ ├ LocalProtocolError         our own code asked for an illegal step: a bug here; nothing was sent
    │ └ RemoteProtocolError        the peer broke the protocol; the connection cannot be used on
    │   ├ HeaderTooLarge           a header length outside the limit in force
    │   └ InvalidHeader            a header that is no strict JSON object, or lacks or garbles a field
    ├ TransportError               the way to the peer failed; what was sent last may or may not have arrived
    │ ├ ConnectFailed              no connection came about
    │ ├ ConnectionLost             an established connection ended in the middle of something
    │ └ TransferTimeout            the peer was silent for longer than this phase allows
    ├ UntrustedServer              the server's certificate is not the trusted one; nothing was sent to it
    │ ├ UnknownCertificate         seen for the first time, and nobody said that it is the right one
    │ ├ CertificateMismatch        not the one whose fingerprint was given
    │ │ └ CertificateChanged       not the one that was pinned
    │ └ UnusableCertificate        one that no log-in can be bound to
    ├ AuthenticationFailed         wrong or missing log-in (never says which part was wrong)
    ├ PermissionDenied             logged in, but not allowed to do this here
    ├ InvalidPath (ValueError)     a name that the rules of docs/protocol.md section 4 refuse
    ├ InvalidRequest               an answerable but senseless request: unknown op, bad field
    ├ HandInRefused                a hand-in that was not taken, and cost nothing; carries a signed note
    ├ BadReceipt                   a receipt, or what goes with one, is not what it should be
    ├ StorageError                 something about a stored object; carries `path`
    │ ├ NotFound · AlreadyExists · IsADirectory · NotADirectory · DirectoryNotEmpty · NotAFile
    │ ├ Busy                       taken by somebody else at the moment, or the server is full
    │ ├ QuotaExceeded · NoSpace · TooLarge
    │ ├ DigestMismatch             content and digest disagree
    │ ├ Changed                    the object is no longer the version that was asked for
    │ ├ BadOffset                  an offset that does not fit what is stored
    │ ├ ReadFailed                 the sender could not read its source to the end
    │ └ Unavailable                the storage failed for now; worth trying again
    ├ RemoteError                  an error answer that has no class here
    └ ConfigError                  a setting, argument or environment variable that cannot be used

Attributes come first and are typed; the text is made from them in `__str__`. `retry` says whether the same
request may succeed later unchanged, `fatal` (on errors that a server answered) whether it closed the connection.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ftpsvc.text import encodable, format_size, grouped_hex, printable, quoted


class FtpsvcError(Exception):
    """Base of every error of ftpsvc.

    Attributes:
        code: The stable slug that stands for this class on the wire (docs/protocol.md section 7).
        retry: True when the same call may succeed later unchanged.
        fatal: True when the server closed the connection with this answer.
        hint: What to do next, one line, or None.
    """

    code: ClassVar[str] = "internal"
    wire_fields: ClassVar[tuple[str, ...]] = ()
    retry: bool = False
    fatal: bool = False
    hint: str | None = None

    def wire(self) -> dict[str, Any]:
        """Returns the fields of an error answer that belong to this error (no real path is ever among them)."""
        fields = {name: getattr(self, name) for name in self.wire_fields}
        return {name: value for name, value in fields.items() if value is not None}


class ProtocolError(FtpsvcError):
    """What was sent, or was about to be, is not the protocol."""


class LocalProtocolError(ProtocolError):
    """Our own code asked the connection for an illegal step. Nothing was sent and no state changed."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol. The connection cannot be used any more."""

    code = "protocol-error"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class HeaderTooLarge(RemoteProtocolError):
    """A header length outside 2..limit, refused before a byte of the header was buffered.

    Attributes:
        length: The announced length in bytes.
        limit: The largest length allowed at this point, in bytes.
    """

    code = "header-too-large"
    wire_fields = ("length", "limit")

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"a header of {length} bytes, where 2 to {limit} are allowed")
        self.length = length
        self.limit = limit


class InvalidHeader(RemoteProtocolError):
    """A header that is no strict JSON object, or whose fields leave the framing uncertain."""

    code = "invalid-header"


class TransportError(FtpsvcError):
    """The way to the peer failed. What was sent last may or may not have arrived."""

    retry = True


class ConnectFailed(TransportError):
    """No connection came about.

    Attributes:
        address: What was dialled, as a URL.
        reason: The system's reason.
    """

    def __init__(self, address: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        return f"cannot connect to {printable(self.address)}: {self.reason}"


class ConnectionLost(TransportError):
    """An established connection ended in the middle of something."""

    code = "connection-lost"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"connection lost: {self.reason}"


class TransferTimeout(TransportError):
    """The peer was silent, or too slow, for longer than this phase allows.

    Attributes:
        phase: What was being waited for, in words.
        seconds: The time allowed.
    """

    code = "timeout"
    wire_fields = ("phase", "seconds")

    def __init__(self, phase: str, seconds: float) -> None:
        super().__init__(phase, seconds)
        self.phase = phase
        self.seconds = seconds

    def __str__(self) -> str:
        return f"timed out after {self.seconds:g} s waiting for {printable(self.phase)}"


class UntrustedServer(FtpsvcError):
    """The server's certificate is not one that is trusted. Nothing was sent to the server but the TLS handshake."""

    code = "untrusted-server"


class UnknownCertificate(UntrustedServer):
    """A server's certificate that was never seen before, and nobody said that it is the right one.

    Attributes:
        address: The server's URL.
        fingerprint: SHA-256 of the certificate that it showed, 64 hex digits.
    """

    def __init__(self, address: str, fingerprint: str, *, hint: str | None = None) -> None:
        super().__init__(address, fingerprint)
        self.address = address
        self.fingerprint = fingerprint
        self.hint = hint

    def __str__(self) -> str:
        return f"{printable(self.address)} is not known here; its certificate is SHA256 {grouped_hex(self.fingerprint)}"


class CertificateMismatch(UntrustedServer):
    """A certificate that is not the one whose fingerprint was given.

    Attributes:
        address: The server's URL.
        expected: SHA-256 of the certificate that is trusted, 64 hex digits.
        fingerprint: SHA-256 of the certificate that the server showed, 64 hex digits.
    """

    def __init__(self, address: str, expected: str, fingerprint: str, *, hint: str | None = None) -> None:
        super().__init__(address, expected, fingerprint)
        self.address = address
        self.expected = expected
        self.fingerprint = fingerprint
        self.hint = hint

    def __str__(self) -> str:
        return (
            f"{printable(self.address)} shows another certificate than the one with the given fingerprint: "
            f"SHA256 {grouped_hex(self.fingerprint)}, where {grouped_hex(self.expected)} is expected"
        )


class CertificateChanged(CertificateMismatch):
    """A certificate that is not the one pinned for this server: it was replaced, or somebody stands in between."""

    def __str__(self) -> str:
        return (
            f"the certificate of {printable(self.address)} has changed: it was SHA256 {grouped_hex(self.expected)}, "
            f"now it is {grouped_hex(self.fingerprint)}; either the server got a new one, or somebody is in between"
        )


class UnusableCertificate(UntrustedServer):
    """A certificate that no log-in can be bound to, or no certificate at all.

    Attributes:
        reason: What is wrong with it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the certificate cannot be used: {self.reason}"


class AuthenticationFailed(FtpsvcError):
    """Log-in is required, or was refused. Never says which part was wrong."""

    code = "auth-required"

    def __init__(self, reason: str = "this server asks for a log-in") -> None:
        super().__init__(reason)


class PermissionDenied(FtpsvcError):
    """Not allowed to do this here.

    Attributes:
        reason: What is not allowed, in words.
        path: The remote path that it is about, or None.
    """

    code = "permission-denied"
    wire_fields = ("path", "reason")

    def __init__(self, reason: str, path: str | None = None) -> None:
        super().__init__(reason, path)
        self.reason = reason
        self.path = path

    def __str__(self) -> str:
        return self.reason if self.path is None else f"{printable(self.path)}: {self.reason}"


class InvalidPath(FtpsvcError, ValueError):
    """A name that the rules for names refuse (docs/protocol.md section 4).

    Attributes:
        name: The name as it was given, possibly shortened.
        reason: Which rule it breaks.
    """

    code = "invalid-path"
    wire_fields = ("name", "reason")

    def __init__(self, name: str, reason: str) -> None:
        # A hostile name may be 64 KiB of anything: what is kept must be short, and encodable for the answer.
        shown = name if len(name) <= 120 else name[:117] + "..."
        super().__init__(shown, reason)
        self.name = encodable(shown)
        self.reason = reason

    def __str__(self) -> str:
        return f"{quoted(self.name)} is not a usable name: {self.reason}"


class InvalidRequest(FtpsvcError):
    """A request that is well framed but cannot be served: an unknown op, a bad or missing field.

    Attributes:
        reason: What is wrong, in words.
    """

    code = "bad-request"
    wire_fields = ("reason",)

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownOperation(InvalidRequest):
    """A request whose `op` this server does not have."""

    code = "unknown-op"


class HandInRefused(FtpsvcError):
    """A hand-in that was not taken at the door, all faults at once. It cost nothing.

    Attributes:
        reason: All that is wrong, in words.
        note: What the server signed about it (`ftpsvc.receipts.receipt.Refusal`, canonical JSON); None where
            it did not.
        signature: Of the note, armoured.
    """

    code = "hand-in-refused"
    wire_fields = ("reason", "note", "signature")

    def __init__(self, reason: str, note: str | None = None, signature: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.note = note
        self.signature = signature

    def __str__(self) -> str:
        return self.reason


class BadReceipt(FtpsvcError):
    """A receipt, its signature, or what it is about is not what it should be.

    Attributes:
        reason: What is wrong, in words.
    """

    code = "bad-receipt"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StorageError(FtpsvcError):
    """Something about a stored object.

    Attributes:
        path: The remote path of the object (never a real path of the server's disk); empty where a server sent none.
        told: The server's own sentence, which stands for the error where the answer had no path (section 7); else None.
    """

    code = "storage-error"
    wire_fields: ClassVar[tuple[str, ...]] = ("path",)
    text: ClassVar[str] = "storage error"
    told: str | None = None

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return self.told or self._sentence()

    def _sentence(self) -> str:
        return f"{self._where()}{self.text}"

    def _where(self) -> str:
        return f"{printable(self.path)}: " if self.path else ""


class NotFound(StorageError):
    """There is no such file or directory."""

    code = "not-found"
    text = "no such file or directory"


class AlreadyExists(StorageError):
    """The name is taken, and replacing was not asked for or is not possible."""

    code = "already-exists"
    text = "exists already"


class IsADirectory(StorageError):
    """A file was expected and a directory is there."""

    code = "is-a-directory"
    text = "is a directory"


class NotADirectory(StorageError):
    """A directory was expected, here or on the way, and something else is there."""

    code = "not-a-directory"
    text = "is not a directory"


class DirectoryNotEmpty(StorageError):
    """A directory that is not empty cannot be removed without `recursive`."""

    code = "not-empty"
    text = "directory is not empty"


class NotAFile(StorageError):
    """A link, FIFO, device or socket: neither served nor followed."""

    code = "not-a-file"
    text = "is neither a regular file nor a directory"


class Busy(StorageError):
    """Taken by somebody else at the moment, or the server is full.

    Attributes:
        reason: What is in use, in words.
        limit: The limit that was reached, or None.
    """

    code = "busy"
    wire_fields = ("path", "reason", "limit")
    retry = True

    def __init__(
        self, path: str, reason: str = "is in use by another client", limit: int | None = None
    ) -> None:
        super().__init__(path)
        self.reason = reason
        self.limit = limit

    def _sentence(self) -> str:
        return f"{self._where()}{self.reason}"


class QuotaExceeded(StorageError):
    """The upload does not fit the quota. Refused before the first byte.

    Attributes:
        requested: Bytes that the upload would add.
        used: Bytes in use or reserved.
        limit: The quota in bytes.
    """

    code = "quota-exceeded"
    wire_fields = ("path", "requested", "used", "limit")

    def __init__(self, path: str, requested: int, used: int, limit: int) -> None:
        super().__init__(path)
        self.requested = requested
        self.used = used
        self.limit = limit

    def _sentence(self) -> str:
        left = format_size(max(0, self.limit - self.used))
        return f"{self._where()}needs {format_size(self.requested)}, {left} of {format_size(self.limit)} left"


class NoSpace(StorageError):
    """The server's disk is full.

    Attributes:
        requested: Bytes that were to be stored, or None where not known.
        available: Bytes that are free, or None where not known.
    """

    code = "no-space"
    wire_fields = ("path", "requested", "available")
    retry = True

    def __init__(self, path: str, requested: int | None = None, available: int | None = None) -> None:
        super().__init__(path)
        self.requested = requested
        self.available = available

    def _sentence(self) -> str:
        if self.requested is None or self.available is None:
            return f"{self._where()}the disk is full"
        need, free = format_size(self.requested), format_size(self.available)
        return f"{self._where()}needs {need}, {free} free on the disk"


class TooLarge(StorageError):
    """Larger than the largest file that is accepted.

    Attributes:
        requested: Size of the file in bytes.
        limit: The largest size accepted, in bytes.
    """

    code = "too-large"
    wire_fields = ("path", "requested", "limit")

    def __init__(self, path: str, requested: int, limit: int) -> None:
        super().__init__(path)
        self.requested = requested
        self.limit = limit

    def _sentence(self) -> str:
        return (
            f"{self._where()}{format_size(self.requested)} is more than the largest file "
            f"accepted, {format_size(self.limit)}"
        )


class DigestMismatch(StorageError):
    """Content and digest disagree: damaged on the way or on the disk. Nothing became visible by it.

    Attributes:
        algorithm: Name of the algorithm.
        expected: The digest that the content should have, lower-case hex.
        actual: The digest that it has.
    """

    code = "digest-mismatch"
    wire_fields = ("path", "algorithm", "expected", "actual")
    retry = True

    def __init__(self, path: str, algorithm: str, expected: str, actual: str) -> None:
        super().__init__(path)
        self.algorithm = algorithm
        self.expected = expected
        self.actual = actual

    def _sentence(self) -> str:
        digests = printable(f"{self.algorithm} {self.expected} expected, {self.actual} found")
        return f"{self._where()}content does not match its digest ({digests})"


class Changed(StorageError):
    """The object changed while it was being read, or is no longer the version that was asked for."""

    code = "changed"
    text = "changed in the meantime"
    retry = True


class BadOffset(StorageError):
    """An offset that does not fit what is stored.

    Attributes:
        offset: The offset that was asked for, in bytes.
        limit: The largest offset that is possible, in bytes.
        held: Of an upload: the bytes that the server holds, which is the only offset possible; else None.
    """

    code = "bad-offset"
    wire_fields = ("path", "offset", "limit", "held")

    def __init__(self, path: str, offset: int, limit: int, held: int | None = None) -> None:
        super().__init__(path)
        self.offset = offset
        self.limit = limit
        self.held = held

    def _sentence(self) -> str:
        if self.held is not None:
            return f"{self._where()}cannot go on at byte {self.offset}, the server holds {self.held}"
        return f"{self._where()}cannot start at byte {self.offset}, 0 to {self.limit} are possible"


class ReadFailed(StorageError):
    """The sender could not read its source to the end.

    Attributes:
        reason: Why, in words.
    """

    code = "read-failed"
    wire_fields = ("path", "reason")

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path)
        self.reason = reason

    def _sentence(self) -> str:
        return f"{self._where()}could not be read to the end: {printable(self.reason)}"


class Unavailable(StorageError):
    """The storage failed for now. Nothing was changed by the request; it may be tried again.

    Attributes:
        reason: Why, in words.
    """

    code = "unavailable"
    wire_fields = ("path", "reason")
    retry = True

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path)
        self.reason = reason

    def _sentence(self) -> str:
        return f"{self._where()}{printable(self.reason)}"


class RemoteError(FtpsvcError):
    """An error answer that has no class here (`remote_code` says which).

    Attributes:
        remote_code: The slug that the server sent.
        message: The server's own sentence.
    """

    code = "internal"

    def __init__(self, remote_code: str, message: str, *, fatal: bool = False, retry: bool = False) -> None:
        super().__init__(remote_code, message)
        self.remote_code = remote_code
        self.message = message
        self.fatal = fatal
        self.retry = retry

    def __str__(self) -> str:
        return f"the server says: {printable(self.message)} ({printable(self.remote_code)})"


class ConfigError(FtpsvcError):
    """A setting, an argument or an environment variable that cannot be used.

    Attributes:
        hint: What to do about it, or None.
    """

    code = "config-error"

    def __init__(self, reason: str, *, hint: str | None = None) -> None:
        super().__init__(reason)
        self.hint = hint


# The classes that an error answer may become. Which constructor arguments they take is their `wire_fields`.
_ANSWERABLE: tuple[type[FtpsvcError], ...] = (
    RemoteProtocolError, HeaderTooLarge, InvalidHeader, TransferTimeout, AuthenticationFailed, PermissionDenied,
    InvalidPath, InvalidRequest, UnknownOperation, HandInRefused, NotFound, AlreadyExists, IsADirectory,
    NotADirectory, DirectoryNotEmpty, NotAFile, Busy, QuotaExceeded, NoSpace, TooLarge, DigestMismatch, Changed,
    BadOffset, ReadFailed, Unavailable,
)  # fmt: skip

BY_CODE: dict[str, type[FtpsvcError]] = {error.code: error for error in _ANSWERABLE}

# What a field of an error answer must be before it may become an attribute (a bool is not a number).
_FIELD_TYPES: dict[str, type | tuple[type, ...]] = {
    "length": int, "limit": int, "requested": int, "used": int, "available": int, "offset": int,
    "held": int,
    "seconds": (int, float),
}  # fmt: skip


def from_answer(code: str, message: str, fields: dict[str, Any], *, fatal: bool, retry: bool) -> FtpsvcError:
    """Returns the exception for an error answer.

    Args:
        code: The slug of the answer.
        message: Its sentence, used where the code or its fields are not known here.
        fields: The other fields of the answer, from the peer and so not trusted: those of another type are ignored.
        fatal: True when the peer closes the connection.
        retry: True when the peer thinks the request worth repeating unchanged.
    """
    cls = BY_CODE.get(code)
    error: FtpsvcError | None = None
    told = printable(message) or None
    message = message or "no reason given"
    if cls is not None:
        if cls.wire_fields:
            wanted = {name: fields[name] for name in cls.wire_fields if _fits(name, fields.get(name))}
            # A server of the base profile sends code and message only: they must be enough for the class.
            if "path" in cls.wire_fields and issubclass(cls, StorageError):
                wanted.setdefault("path", "")
            if "reason" in cls.wire_fields:
                wanted["reason"] = printable(wanted.get("reason") or message)
            try:
                error = cls(**wanted)
            except TypeError:  # a field is missing: keep the server's sentence rather than guess a number
                error = None
            if isinstance(error, StorageError) and not error.path:
                error.told = told
        else:
            error = cls(printable(message))
    if error is None:
        return RemoteError(code, message, fatal=fatal, retry=retry)
    error.fatal = fatal
    error.retry = retry
    return error


_LARGEST = 2**63 - 1
"""Numbers beyond the protocol's range are no numbers of ours: formatting them could raise OverflowError."""


def _fits(name: str, value: object) -> bool:
    kind = _FIELD_TYPES.get(name, str)
    if not isinstance(value, kind) or isinstance(value, bool):
        return False
    return not isinstance(value, (int, float)) or abs(value) <= _LARGEST
