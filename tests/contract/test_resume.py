"""Uploads that can be resumed: the contract of ftpsvc/storage/base.py, for every backend."""

import threading
from contextlib import suppress

import pytest

from ftpsvc.exceptions import (
    AlreadyExists,
    Busy,
    ConnectionLost,
    DigestMismatch,
    IsADirectory,
    LocalProtocolError,
    NotFound,
    QuotaExceeded,
)
from ftpsvc.storage.base import Begun, Digest, Storage
from tests.contract.conftest import Backend
from tests.helpers.stores import at, digest_of, get, names, put

CONTENT = bytes(range(256)) * 8
HALF = len(CONTENT) // 2


def begin(
    storage: Storage,
    path: str = "/f",
    size: int = len(CONTENT),
    *,
    algorithm: str = "blake3",
    owner: str = "alice",
    restart: bool = False,
    clobber: bool = True,
) -> Begun:
    """Begins, and is never to be taken over."""
    return storage.begin(
        at(path),
        size,
        algorithm=algorithm,
        owner=owner,
        evict=lambda: pytest.fail("taken over"),
        restart=restart,
        clobber=clobber,
    )


def leave_half(storage: Storage, path: str = "/f", *, owner: str = "alice") -> None:
    upload = begin(storage, path, owner=owner)
    upload.write(CONTENT[:HALF])
    upload.suspend()


@pytest.mark.parametrize("algorithm", ["blake3", "md5"])
def test_what_was_written_is_held_and_the_rest_makes_the_file(backend: Backend, algorithm: str) -> None:
    storage = backend.storage
    leave_half(storage)
    assert names(storage) == []
    with pytest.raises(NotFound):
        storage.stat(at("/f"))
    upload = begin(storage, algorithm=algorithm)
    assert upload.written == HALF
    assert upload.digest() == digest_of(CONTENT[:HALF], algorithm)
    upload.write(CONTENT[HALF:])
    upload.describe(modified=10**18, mode=0o755, clobber=True)
    entry = upload.commit(digest_of(CONTENT, algorithm))
    assert entry == storage.stat(at("/f"))
    assert (entry.modified, entry.digest) == (10**18, Digest(algorithm, digest_of(CONTENT, algorithm)))
    assert entry.mode & 0o100
    assert get(storage, "/f") == CONTENT
    assert backend.ledger.books()[1:] == (len(CONTENT), 0)
    assert backend.ledger.files == 1
    assert begin(storage).written == 0
    backend.assert_nothing_staged()


def test_a_begun_upload_of_a_plain_file_is_as_one_of_create(storage: Storage) -> None:
    with begin(storage) as upload:
        upload.write(CONTENT)
        upload.describe(modified=None, mode=0o644, clobber=True)
        begun = upload.commit(digest_of(CONTENT))
    assert begun.mode == put(storage, "/g", CONTENT, mode=0o644).mode


def test_c47_the_old_version_stays_until_the_new_one_is_whole(storage: Storage) -> None:
    old = put(storage, "/f", b"the old one")
    leave_half(storage)
    assert storage.stat(at("/f")) == old
    assert get(storage, "/f") == b"the old one"


def test_c42_partials_are_on_the_books_and_the_resumed_upload_pays_the_rest(backend: Backend) -> None:
    storage, ledger = backend.storage, backend.ledger
    ledger.limit = len(CONTENT)
    leave_half(storage)
    assert ledger.books()[1:] == (HALF, 0)
    assert ledger.files == 1
    with pytest.raises(QuotaExceeded):
        storage.create(at("/other"), HALF + 1, algorithm="blake3")
    upload = begin(storage)
    assert ledger.books()[1:] == (0, len(CONTENT))
    upload.suspend()
    assert ledger.books()[1:] == (HALF, 0)
    upload = begin(storage)
    upload.write(CONTENT[HALF:])
    upload.commit(None)
    assert ledger.books()[1:] == (len(CONTENT), 0)
    assert ledger.files == 1


def test_c43_what_does_not_fit_is_refused_and_what_is_held_stays(backend: Backend) -> None:
    storage, ledger = backend.storage, backend.ledger
    ledger.limit = len(CONTENT) - 1
    upload = begin(storage, size=HALF)
    upload.write(CONTENT[: HALF - 1])
    upload.suspend()
    with pytest.raises(QuotaExceeded) as caught:
        begin(storage)
    assert caught.value.requested == HALF + 1
    assert ledger.books()[1:] == (HALF - 1, 0)
    assert begin(storage, size=HALF).written == HALF - 1


def test_c42_beside_the_file_to_be_replaced_only_as_much_stays_as_fits(backend: Backend) -> None:
    storage, ledger = backend.storage, backend.ledger
    put(storage, "/f", b"x" * len(CONTENT))
    ledger.limit = len(CONTENT) + 100
    upload = begin(storage)
    upload.write(CONTENT[:HALF])
    upload.suspend()
    assert ledger.books() == (ledger.limit, ledger.limit, 0)
    upload = begin(storage)
    assert (upload.written, upload.digest()) == (100, digest_of(CONTENT[:100]))
    upload.write(CONTENT[100:])
    upload.commit(digest_of(CONTENT))
    assert get(storage, "/f") == CONTENT
    assert ledger.books()[1:] == (len(CONTENT), 0)


def test_c48_restart_drops_what_is_held(backend: Backend) -> None:
    leave_half(backend.storage)
    upload = begin(backend.storage, restart=True)
    assert (upload.written, upload.digest()) == (0, digest_of(b""))
    upload.abort()
    assert backend.ledger.books()[1:] == (0, 0)


def test_what_is_held_of_a_longer_file_is_dropped_and_of_a_shorter_one_stays(backend: Backend) -> None:
    leave_half(backend.storage)
    longer = begin(backend.storage, size=10 * len(CONTENT))
    assert longer.written == HALF
    longer.suspend()
    assert begin(backend.storage, size=HALF - 1).written == 0
    assert backend.ledger.books()[1] == 0


def test_c45_a_wrong_digest_drops_what_is_held(backend: Backend) -> None:
    leave_half(backend.storage)
    upload = begin(backend.storage)
    upload.write(b"\0" * HALF)
    with pytest.raises(DigestMismatch):
        upload.commit(digest_of(CONTENT))
    assert begin(backend.storage).written == 0
    assert names(backend.storage) == []


def test_less_than_was_written_can_be_kept(backend: Backend) -> None:
    upload = begin(backend.storage)
    upload.write(CONTENT[:HALF])
    upload.suspend(10)
    upload = begin(backend.storage)
    assert (upload.written, upload.digest()) == (10, digest_of(CONTENT[:10]))
    upload.suspend(0)
    assert begin(backend.storage).written == 0
    assert backend.ledger.books()[1] == 0


@pytest.mark.parametrize("end", ["suspend", "abort", "commit"])
def test_what_has_ended_has_ended(backend: Backend, end: str) -> None:
    upload = begin(backend.storage, size=HALF)
    upload.write(CONTENT[:HALF])
    match end:
        case "suspend":
            upload.suspend()
        case "abort":
            upload.abort()
        case _:
            upload.commit(None)
    books = backend.ledger.books()
    upload.suspend()
    upload.abort()
    with pytest.raises(LocalProtocolError):
        upload.commit(None)
    assert backend.ledger.books() == books
    assert begin(backend.storage).written == (HALF if end == "suspend" else 0)


def test_an_upload_of_nothing_leaves_nothing(backend: Backend) -> None:
    begin(backend.storage).suspend()
    with begin(backend.storage, size=0) as upload:
        upload.commit(digest_of(b""))
    assert get(backend.storage, "/f") == b""
    assert backend.ledger.books()[1:] == (0, 0)
    backend.assert_nothing_staged()


def test_c49_nobody_sees_or_resumes_what_somebody_else_holds(backend: Backend) -> None:
    storage = backend.storage
    leave_half(storage, owner="alice")
    bob = begin(storage, owner="bob")
    assert bob.written == 0
    bob.write(b"b")
    bob.suspend()
    assert begin(storage, owner="bob").digest() == digest_of(b"b")


def test_one_writer_for_each_path(backend: Backend) -> None:
    storage = backend.storage
    upload = begin(storage, owner="alice")
    with pytest.raises(Busy) as caught:
        begin(storage, owner="bob")
    assert caught.value.retry
    with pytest.raises(Busy):
        storage.create(at("/f"), 1, algorithm="blake3", owner="bob")
    begin(storage, "/g", owner="bob").abort()
    with storage.create(at("/f"), 1, algorithm="blake3", owner="alice") as small:
        small.write(b"x")
        small.commit(None)
    upload.abort()
    begin(storage, owner="bob").abort()
    assert get(storage, "/f") == b"x"


@pytest.mark.timeout(120)
def test_a_newer_one_of_the_same_owner_takes_over(storage: Storage) -> None:
    """The older one is told, and the newer one goes on with all that the older one had written."""
    told = threading.Event()
    old = storage.begin(at("/f"), len(CONTENT), algorithm="blake3", owner="alice", evict=told.set)

    def work() -> None:
        old.write(CONTENT[:HALF])
        told.wait()
        old.write(CONTENT[HALF : HALF + 1])
        old.suspend()

    thread = threading.Thread(target=work)
    thread.start()
    upload = begin(storage)
    thread.join()
    assert upload.written == HALF + 1
    upload.write(CONTENT[HALF + 1 :])
    upload.commit(digest_of(CONTENT))
    assert get(storage, "/f") == CONTENT


def test_what_can_be_refused_is_refused_by_begin(storage: Storage) -> None:
    put(storage, "/file")
    storage.make_directory(at("/dir"))
    for path, error in (("/", IsADirectory), ("/dir", IsADirectory), ("/missing/f", NotFound)):
        with pytest.raises(error):
            begin(storage, path)
    with pytest.raises(AlreadyExists):
        begin(storage, "/file", clobber=False)
    begin(storage, "/file").abort()  # a refusal has not kept the path


def test_without_clobber_it_is_found_at_the_commit_too(backend: Backend) -> None:
    upload = begin(backend.storage, owner="", clobber=False)
    upload.write(CONTENT)
    upload.describe(modified=None, mode=None, clobber=False)
    put(backend.storage, "/f", b"first")
    with pytest.raises(AlreadyExists):
        upload.commit(None)
    assert get(backend.storage, "/f") == b"first"
    assert backend.ledger.books()[1:] == (5, 0)


def test_what_nobody_comes_back_for_expires(backend: Backend) -> None:
    storage = backend.storage
    leave_half(storage, "/old")
    leave_half(storage, "/used")
    upload = begin(storage, "/used")
    assert storage.expire(3600) == 0
    assert storage.expire(-1) == 1
    assert begin(storage, "/old").written == 0
    upload.suspend()
    assert begin(storage, "/used").written == HALF


def test_hashing_what_is_held_can_be_ended(backend: Backend) -> None:
    leave_half(backend.storage)

    def look() -> None:
        raise ConnectionLost("nobody waits for it")

    with suppress(ConnectionLost):
        backend.storage.begin(
            at("/f"), len(CONTENT), algorithm="blake3", owner="alice", evict=lambda: None, look=look
        ).suspend()
    assert begin(backend.storage).written == HALF
