"""What a session sees and may do: mounts, guests, peers, cursors. No sockets but where an address is asked for."""

import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ftpsvc.exceptions import InvalidRequest, NotFound, PermissionDenied
from ftpsvc.paths import RemotePath, check_name
from ftpsvc.server.guests import Guests
from ftpsvc.server.listing import decode_cursor, encode_cursor
from ftpsvc.server.namespace import Mount, Namespace
from ftpsvc.server.peers import Peer, peer_of
from ftpsvc.server.session import Rights
from ftpsvc.storage.base import Storage
from ftpsvc.storage.memory import MemoryStorage


def path(text: str) -> RemotePath:
    return RemotePath.parse(text)


# ---------------------------------------------------------------- mounts


@pytest.fixture
def home() -> Storage:
    return MemoryStorage()


@pytest.fixture
def papers() -> Storage:
    return MemoryStorage()


@pytest.fixture
def namespace(home: Storage, papers: Storage) -> Namespace:
    return Namespace(
        [Mount(path("/"), home, writable=True), Mount(path("/course/papers"), papers, writable=False)]
    )


def test_a_path_leads_into_the_deepest_mount(namespace: Namespace, home: Storage, papers: Storage) -> None:
    for text, storage, inner in [
        ("/", home, "/"),
        ("/a/b", home, "/a/b"),
        ("/course", home, "/course"),
        ("/course/papers", papers, "/"),
        ("/course/papers/1.pdf", papers, "/1.pdf"),
        ("/course/papers2", home, "/course/papers2"),
    ]:
        place = namespace.resolve(path(text))
        assert place.storage is storage
        assert str(place.inner) == inner
        assert str(place.path) == text


def test_c33_mount_points_and_what_holds_them_stay_where_they_are(namespace: Namespace) -> None:
    for fixed in ("/", "/course", "/course/papers"):
        with pytest.raises(PermissionDenied):
            namespace.check_movable(path(fixed))
    for loose in ("/a", "/course/other", "/course/papers/1.pdf", "/course/papers2"):
        namespace.check_movable(path(loose))
    assert namespace.is_mount_point(path("/course/papers"))
    assert not namespace.is_mount_point(path("/course"))


def test_errors_name_paths_as_the_client_knows_them(namespace: Namespace) -> None:
    place = namespace.resolve(path("/course/papers/missing"))
    with pytest.raises(NotFound, match=r"^/course/papers/missing: ") as caught, place as storage:
        storage.stat(place.inner)
    assert caught.value.wire() == {"path": "/course/papers/missing"}
    with (
        pytest.raises(PermissionDenied, match=r"^/course/papers/: "),
        namespace.resolve(path("/course/papers")) as root,
    ):
        root.remove(path("/"))


def test_without_mounts_nothing_is_there() -> None:
    with pytest.raises(NotFound):
        Namespace().resolve(path("/"))


# ---------------------------------------------------------------- guests and peers


def peer(host: str, *, reached: str = "ftpsvc+tcp://192.0.2.5:9021") -> Peer:
    shown, local = f"{host}:4711", host == "127.0.0.1"
    return Peer(shown, host, host, local=local, private=False, reached=reached)


@pytest.mark.parametrize("may", ["read", "write"])
def test_guests_off_loopback_need_a_named_address(home: Storage, may: str) -> None:
    guests = Guests("read" if may == "read" else "write", home)
    for host, on_every_address in [("127.0.0.1", True), ("127.0.0.1", False), ("192.0.2.9", False)]:
        session = guests.open_session(1, peer(host), on_every_address=on_every_address)
        assert session.rights is Rights(may)
        assert session.reading("/").mount.writable is (may == "write")
    elsewhere = guests.open_session(1, peer("192.0.2.9"), on_every_address=True)
    assert elsewhere.rights is Rights.NONE
    for writes in (False, True):
        with pytest.raises(PermissionDenied, match=r"--listen ftpsvc\+tcp://192.0.2.5:9021"):
            elsewhere.check(writes=writes)
    with pytest.raises(NotFound):
        elsewhere.reading("/")


def test_no_guests_see_nothing(home: Storage) -> None:
    session = Guests("none", home).open_session(1, peer("192.0.2.9"), on_every_address=True)
    assert session.rights is Rights.NONE
    with pytest.raises(NotFound):
        session.reading("/")


@pytest.mark.parametrize(
    ("address", "shown", "group", "local"),
    [
        (("127.0.0.1", 5), "127.0.0.1:5", "127.0.0.1", True),
        (("127.3.2.1", 5), "127.3.2.1:5", "127.3.2.1", True),
        (("192.0.2.7", 5), "192.0.2.7:5", "192.0.2.7", False),
        (("::1", 5, 0, 0), "[::1]:5", "::1", True),
        (("::ffff:127.0.0.1", 5, 0, 0), "127.0.0.1:5", "127.0.0.1", True),
        (("::ffff:192.0.2.7", 5, 0, 0), "192.0.2.7:5", "192.0.2.7", False),
        (("2001:db8::1:2", 5, 0, 0), "[2001:db8::1:2]:5", "2001:db8::/64", False),
        (("2001:db8:0:0:ffff::9", 5, 0, 0), "[2001:db8::ffff:0:0:9]:5", "2001:db8::/64", False),
        (("fe80::1%eth0", 5, 0, 2), "[fe80::1%eth0]:5", "fe80::1%eth0", False),
        ("", "unix", "unix", True),
    ],
)
def test_peers(address: object, shown: str, group: str, local: bool) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        found = peer_of(sock, address)
        assert (found.shown, found.group, found.local) == (shown, group, local)
        if address:
            assert found.reached == f"ftpsvc+tcp://127.0.0.1:{sock.getsockname()[1]}"


# ---------------------------------------------------------------- cursors


def usable(name: str) -> bool:
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name


NAMES = st.text(min_size=1, max_size=20).filter(usable)


@given(st.lists(NAMES, min_size=1, max_size=10))
def test_cursors_come_back(parts: list[str]) -> None:
    parts = [part.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for part in parts]
    assert decode_cursor(encode_cursor(tuple(parts))) == tuple(parts)


def test_the_longest_cursor_fits_a_header() -> None:
    # A path as long as can be addressed, and in it a name of 255 bytes that are shown by number.
    parts = [check_name("d" * 255)] * 15 + ["e" * 250, "\\xff" * 255]
    text = encode_cursor(tuple(parts))
    assert len(text) <= 8192
    assert decode_cursor(text) == tuple(parts)


@given(st.text(max_size=60))
@example("000/")
@example("YR==")
def test_any_text_is_a_cursor_or_a_bad_request(text: str) -> None:
    try:
        parts = decode_cursor(text)
    except InvalidRequest:
        return
    assert all(usable(part) for part in parts)
    assert encode_cursor(parts) == text
