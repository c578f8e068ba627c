"""What is stored, and that nothing half is seen: the contract of ftpsvc/storage/base.py, for every backend."""

import gc
from contextlib import suppress

import pytest

from ftpsvc import digests
from ftpsvc.exceptions import (
    AlreadyExists,
    DigestMismatch,
    InvalidRequest,
    IsADirectory,
    LocalProtocolError,
    NotADirectory,
    NotFound,
)
from ftpsvc.storage.base import Digest, Storage
from tests.contract.conftest import Backend
from tests.helpers.stores import at, digest_of, everything, get, names, put

MODIFIED = 1_500_000_000_123_456_789
MEBIBYTE = 1 << 20


@pytest.mark.parametrize("algorithm", digests.ALGORITHMS)
@pytest.mark.parametrize("size", [0, 1, 4096, MEBIBYTE + 1])
def test_a_file_comes_back_as_it_was_stored(storage: Storage, algorithm: str, size: int) -> None:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    entry = put(storage, "/a.bin", content, algorithm=algorithm, modified=MODIFIED)
    assert get(storage, "/a.bin") == content
    assert entry == storage.stat(at("/a.bin"))
    assert (entry.name, entry.kind, entry.size, entry.modified) == ("a.bin", "file", size, MODIFIED)
    assert entry.digest == Digest(algorithm, digest_of(content, algorithm))
    assert entry.note is None
    assert entry.where == ()


def test_the_executable_bit_is_all_that_is_taken_from_the_mode(storage: Storage) -> None:
    plain = put(storage, "/plain", mode=0o4666).mode
    runs = put(storage, "/runs", mode=0o6755).mode
    assert plain & 0o111 == 0
    assert runs & 0o100
    assert (plain | runs) & 0o7022 == 0
    assert put(storage, "/plain", mode=None).mode == plain


def test_a_file_without_a_time_has_that_of_writing(storage: Storage) -> None:
    before = put(storage, "/first").modified
    assert put(storage, "/second").modified >= before > MODIFIED


def test_reading_starts_anywhere_and_in_any_pieces(storage: Storage) -> None:
    content = bytes(range(256)) * 16
    put(storage, "/f", content)
    with storage.read(at("/f")) as reader:
        buffer = memoryview(bytearray(100))
        for offset in (0, 1, 4000, 4095, 4096, 5000, 3):
            reader.seek(offset)
            assert bytes(buffer[: reader.read_into(buffer)]) == content[offset : offset + 100]
        assert reader.entry == storage.stat(at("/f"))
        reader.close()


def test_a_reader_keeps_the_old_content_while_the_name_gets_a_new_one(storage: Storage) -> None:
    put(storage, "/f", b"old" * 1000)
    buffer = memoryview(bytearray(5000))
    with storage.read(at("/f")) as reader:
        put(storage, "/f", b"new")
        assert bytes(buffer[: reader.read_into(buffer)]) == b"old" * 1000
        reader.check_unchanged()
    with storage.read(at("/f")) as reader:
        storage.remove(at("/f"))
        assert bytes(buffer[: reader.read_into(buffer)]) == b"new"
        reader.check_unchanged()


def test_the_version_changes_with_the_content_whatever_the_times_say(storage: Storage) -> None:
    versions = [
        put(storage, "/f", text, modified=MODIFIED).version for text in (b"one", b"two", b"six", b"ten")
    ]
    assert len(set(versions)) == 4
    assert storage.stat(at("/f")).version == versions[-1]


def test_the_version_survives_looking_reading_and_moving(storage: Storage) -> None:
    version = put(storage, "/f").version
    get(storage, "/f")
    storage.rename(at("/f"), at("/g"))
    with storage.read(at("/g")) as reader:
        reader.record(Digest("md5", "0" * 32))
        assert reader.entry.version == version
    assert storage.stat(at("/g")).version == everything(storage)[0].version == version


def test_a_record_of_the_upload_is_never_replaced(storage: Storage) -> None:
    entry = put(storage, "/f", b"content", modified=MODIFIED)
    with storage.read(at("/f")) as reader:
        reader.record(Digest("sha256", "0" * 64))
    assert storage.stat(at("/f")).digest == entry.digest


def test_nothing_is_seen_before_the_commit_and_nothing_after_an_abort(backend: Backend) -> None:
    storage = backend.storage
    upload = storage.create(at("/f"), 6, algorithm="blake3")
    upload.write(b"con")
    assert names(storage) == []
    with pytest.raises(NotFound):
        storage.stat(at("/f"))
    upload.abort()
    upload.abort()
    assert names(storage) == []
    assert backend.ledger.books()[1:] == (0, 0)
    for use in (lambda: upload.write(b"x"), lambda: upload.commit(None)):
        with pytest.raises(LocalProtocolError):
            use()


def test_c47_an_upload_that_dies_leaves_the_old_file(backend: Backend) -> None:
    storage = backend.storage
    old = put(storage, "/f", b"the old one")
    source_failed = RuntimeError("the reader of the source failed")
    with suppress(RuntimeError), storage.create(at("/f"), 100, algorithm="blake3") as upload:
        upload.write(b"half of it")
        raise source_failed
    assert get(storage, "/f") == b"the old one"
    assert storage.stat(at("/f")) == old
    assert backend.ledger.books()[1:] == (11, 0)


def test_an_upload_that_is_dropped_is_aborted(backend: Backend) -> None:
    upload = backend.storage.create(at("/f"), 100, algorithm="blake3")
    upload.write(b"half")
    del upload
    gc.collect()
    assert names(backend.storage) == []
    assert backend.ledger.books()[1:] == (0, 0)
    backend.assert_nothing_staged()


def test_leaving_after_a_commit_aborts_nothing(storage: Storage) -> None:
    with storage.create(at("/f"), 2, algorithm="md5") as upload:
        upload.write(b"ok")
        upload.commit(None)
        upload.abort()
    assert get(storage, "/f") == b"ok"
    with pytest.raises(LocalProtocolError):
        upload.commit(None)


@pytest.mark.parametrize("algorithm", digests.ALGORITHMS)
def test_c45_a_wrong_digest_is_found_before_anything_is_seen(backend: Backend, algorithm: str) -> None:
    storage = backend.storage
    put(storage, "/f", b"old")
    wrong = digest_of(b"what was sent", algorithm)
    with storage.create(at("/f"), 16, algorithm=algorithm) as upload:
        upload.write(b"what was damaged")
        with pytest.raises(DigestMismatch) as caught:
            upload.commit(wrong)
    assert caught.value.expected == wrong
    assert caught.value.actual == digest_of(b"what was damaged", algorithm)
    assert get(storage, "/f") == b"old"
    assert backend.ledger.books()[1:] == (3, 0)
    backend.assert_nothing_staged()


@pytest.mark.parametrize("digest", ["", "é", "0" * 64, "F" * 64, "x" * 10_000])
def test_a_digest_that_is_none_is_a_wrong_digest(storage: Storage, digest: str) -> None:
    with storage.create(at("/f"), 0, algorithm="sha256") as upload, pytest.raises(DigestMismatch):
        upload.commit(digest)
    assert names(storage) == []


@pytest.mark.parametrize("written", [0, 1, 9])
def test_c46_a_short_reader_commits_nothing(backend: Backend, written: int) -> None:
    storage = backend.storage
    with storage.create(at("/f"), 10, algorithm="blake3") as upload:
        upload.write(b"x" * written)
        assert upload.written == written
        with pytest.raises(InvalidRequest, match="10 bytes were announced"):
            upload.commit(digest_of(b"x" * written))
    assert names(storage) == []
    assert backend.ledger.books()[1:] == (0, 0)
    backend.assert_nothing_staged()


@pytest.mark.parametrize("announced", [0, 5])
def test_c41_more_than_was_announced_commits_nothing(backend: Backend, announced: int) -> None:
    storage = backend.storage
    with storage.create(at("/f"), announced, algorithm="blake3") as upload:
        upload.write(b"x" * announced)
        with pytest.raises(InvalidRequest, match="more came"):
            upload.write(b"y")
        with pytest.raises(InvalidRequest):
            upload.commit(digest_of(b"x" * announced))
        with pytest.raises(InvalidRequest):
            upload.write(b"")
    assert names(storage) == []
    assert backend.ledger.books()[1:] == (0, 0)
    backend.assert_nothing_staged()


def test_an_unknown_algorithm_is_refused_before_the_first_byte(backend: Backend) -> None:
    with pytest.raises(InvalidRequest):
        backend.storage.create(at("/f"), 1, algorithm="crc32")
    assert backend.ledger.books()[1:] == (0, 0)


def test_what_can_be_refused_is_refused_before_the_first_byte(storage: Storage) -> None:
    put(storage, "/file")
    storage.make_directory(at("/dir"))
    for path, error in (
        ("/", IsADirectory),
        ("/dir", IsADirectory),
        ("/missing/f", NotFound),
        ("/file/f", NotADirectory),
        ("/file/f/g", NotADirectory),
    ):
        with pytest.raises(error):
            storage.create(at(path), 1, algorithm="blake3")
    with pytest.raises(AlreadyExists):
        storage.create(at("/file"), 1, algorithm="blake3", clobber=False)
    assert get(storage, "/file") == b"content"


def test_what_changed_during_an_upload_is_found_at_the_commit(backend: Backend) -> None:
    storage = backend.storage
    storage.make_directory(at("/gone"))
    vanished = storage.create(at("/gone/f"), 0, algorithm="blake3")
    blocked = storage.create(at("/name"), 0, algorithm="blake3")
    late = storage.create(at("/taken"), 0, algorithm="blake3", clobber=False)
    storage.remove(at("/gone"))
    storage.make_directory(at("/name"))
    put(storage, "/taken", b"first")
    for upload, error in ((vanished, NotFound), (blocked, IsADirectory), (late, AlreadyExists)):
        with pytest.raises(error):
            upload.commit(None)
    assert names(storage) == ["name", "taken"]
    assert get(storage, "/taken") == b"first"
    assert backend.ledger.books()[1:] == (5, 0)
    backend.assert_nothing_staged()


def test_an_upload_follows_the_path_and_not_the_directory(storage: Storage) -> None:
    storage.make_directory(at("/a"))
    with storage.create(at("/a/f"), 0, algorithm="blake3") as upload:
        storage.rename(at("/a"), at("/b"))
        storage.make_directory(at("/a"))
        upload.commit(None)
    assert names(storage) == ["a", "a/f", "b"]


def test_no_clobber_keeps_what_is_there(storage: Storage) -> None:
    put(storage, "/f", b"new", clobber=False)
    with pytest.raises(AlreadyExists):
        put(storage, "/f", b"newer", clobber=False)
    assert get(storage, "/f") == b"new"
