"""Users who attack: connections that log in and send a heap of bytes, and what they must not get or change."""

import os
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from ftpsvc import certificates
from ftpsvc.credentials import Credentials
from ftpsvc.scram import ClientLogin
from tests.helpers.raw_peer import RawPeer
from tests.helpers.tls_peer import TlsPeer


def raw_log_in(peer: RawPeer, credentials: Credentials) -> None:
    """Logs a raw client in; over TLS bound to the certificate that it was shown."""
    binding = None
    if isinstance(peer.sock, ssl.SSLSocket):
        shown = peer.sock.getpeercert(binary_form=True)
        assert shown is not None
        binding = certificates.binding(shown)
    login = ClientLogin(credentials.name, credentials.secret, binding)
    answer = peer.ask("auth", mechanism=login.mechanism, data=login.first())
    login.finish(peer.ask("auth", data=login.answer(answer["data"]))["data"])
    assert login.done


def send_and_take_all(
    where: tuple[str, int], data: Sequence[bytes], credentials: Credentials | None, *, tls: bool
) -> bytes:
    """Sends all of it over a connection of its own, says that nothing more comes, and returns all that came back.

    Args:
        where: The server.
        data: What to send, less than the system's own buffers hold: nothing is read before all is sent.
        credentials: Who logs in first; None is nobody.
        tls: Whether by TLS.
    """
    with (TlsPeer if tls else RawPeer)(where) as peer:
        if credentials is not None:
            raw_log_in(peer, credentials)
        taken = bytearray()
        try:
            peer.send(b"".join(data))
            # A TLS socket's own shutdown would end its reading, too.
            socket.socket.shutdown(peer.sock, socket.SHUT_WR)
        except OSError:
            pass  # the server has had enough; what it said may still be there
        try:
            while more := peer.stream.read1(1 << 16):
                taken += more
        except OSError:
            pass
        return bytes(taken)


Seen = dict[str, tuple[object, ...]]


def snapshot(folders: Sequence[Path], leave_out: Sequence[Path] = ()) -> Seen:
    """All that is in folders, and all that changes when something is done to it. Links are not followed."""
    found: Seen = {}
    for folder in folders:
        for name, directories, files in os.walk(folder):
            place = Path(name)
            directories[:] = [each for each in directories if place / each not in leave_out]
            for path in (place, *(place / each for each in files)):
                info = path.lstat()
                content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
                found[str(path)] = (info.st_ino, info.st_mode, info.st_size, info.st_mtime_ns, content)
    return found
