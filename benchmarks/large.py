"""One large file both ways: floors, ftpsvc verified, rsync, FTP unverified, FTP with a hash of both sides."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import peers
from benchmarks.measure import interleaved, table, timed
from ftpsvc_client import connect

_HASH = (
    "import sys; from blake3 import blake3; h = blake3(); h.update_mmap(sys.argv[1]); print(h.hexdigest())"
)


def run(work: Path, options: argparse.Namespace) -> str:
    """Returns the tables for put and get."""
    source = work / "source.bin"
    random_file(source, options.mib << 20)
    share = work / "share"
    share.mkdir()
    os.link(source, share / "source.bin")
    relaxed = peers.ftpsvc_server(work / "relaxed", share, "--durability", "relaxed")
    durable_share = work / "durable-share"
    durable_share.mkdir()
    secure_share = work / "secure-share"
    secure_share.mkdir()
    os.link(source, secure_share / "source.bin")
    full = peers.ftpsvc_server(work / "full", durable_share)
    secure = peers.ftpsvc_server(
        work / "secure", secure_share, "--durability", "relaxed", listen="ftpsvc://127.0.0.1:0"
    )
    with (
        relaxed as (url, _),
        full as (full_url, _),
        secure as (secure_url, _),
        peers.pyftpdlib_server(share) as (port, _),
        peers.rsync_daemon(work, share) as rsync,
    ):
        ftp = peers.Ftp(port)
        with (
            connect(url) as client,
            connect(url, algorithm="sha256") as sha256,
            connect(url, algorithm="md5") as md5,
            connect(full_url) as durable,
            connect(secure_url, fingerprint=peers.fingerprint(work / "secure")) as tls,
        ):
            puts: dict[str, Callable[[], float]] = {
                "cp": lambda: timed(lambda: shutil.copyfile(source, _fresh(share / "copied"))),
                "raw socket": lambda: timed(lambda: peers.raw_copy(source, _fresh(share / "raw"))),
                "ftpsvc blake3, relaxed": lambda: _timed_fresh(share / "a", lambda: client.put(source, "/a")),
                "ftpsvc sha256, relaxed": lambda: _timed_fresh(share / "b", lambda: sha256.put(source, "/b")),
                "ftpsvc md5, relaxed": lambda: _timed_fresh(share / "m", lambda: md5.put(source, "/m")),
                "ftpsvc blake3, TLS, relaxed": lambda: _timed_fresh(
                    secure_share / "t", lambda: tls.put(source, "/t")
                ),
                "ftpsvc blake3, durable": lambda: _timed_fresh(
                    durable_share / "c", lambda: durable.put(source, "/c")
                ),
                "pyftpdlib + ftplib, unverified": lambda: _timed_fresh(
                    share / "d", lambda: ftp.put(source, "d")
                ),
                "pyftpdlib + ftplib, blake3 of both sides": lambda: _timed_fresh(
                    share / "e", lambda: _then_hash(lambda: ftp.put(source, "e"), source, share / "e")
                ),
            }
            gets: dict[str, Callable[[], float]] = {
                "cp": puts["cp"],
                "ftpsvc blake3": lambda: timed(
                    lambda: client.get("/source.bin", _fresh(work / "got"), overwrite=True)
                ),
                "ftpsvc sha256": lambda: timed(
                    lambda: sha256.get("/source.bin", _fresh(work / "got2"), overwrite=True)
                ),
                "ftpsvc md5": lambda: timed(
                    lambda: md5.get("/source.bin", _fresh(work / "got6"), overwrite=True)
                ),
                "ftpsvc blake3, TLS": lambda: timed(
                    lambda: tls.get("/source.bin", _fresh(work / "got7"), overwrite=True)
                ),
                "pyftpdlib + ftplib, unverified": lambda: timed(
                    lambda: ftp.get("source.bin", _fresh(work / "got3"))
                ),
                "pyftpdlib + ftplib, blake3 of both sides": lambda: timed(
                    lambda: _then_hash(
                        lambda: ftp.get("source.bin", _fresh(work / "got4")), source, work / "got4"
                    )
                ),
            }
            if (put := peers.lftp(port, f"put {source} -o f")) and (
                get := peers.lftp(port, f"get source.bin -o {work / 'got5'}")
            ):
                puts["pyftpdlib + lftp, unverified, whole command"] = partial(_command, put, share / "f")
                gets["pyftpdlib + lftp, unverified, whole command"] = partial(_command, get, work / "got5")
            if rsync is not None:
                name, flags = "rsync daemon -W, whole command", ["rsync", "-tW"]
                puts[name] = partial(_command, [*flags, str(source), f"{rsync.where}/g"], share / "g")
                gets[name] = partial(
                    _command, [*flags, f"{rsync.where}/source.bin", str(work / "got8")], work / "got8"
                )
            size = f"{options.mib} MiB"
            note = "Time inside `Client.{}` and inside the peer's call. ftpsvc and rsync compare digests of both sides."
            base = "pyftpdlib + ftplib, unverified"
            result = table(f"put {size}", interleaved(puts, options.rounds), base, note.format("put"))
            result += "\n" + table(f"get {size}", interleaved(gets, options.rounds), base, note.format("get"))
        ftp.close()
    return result


def random_file(path: Path, size: int) -> None:
    """Makes a file of content that does not compress, the same every time."""
    generator = random.Random(1)
    with path.open("wb") as file:
        while size:
            piece = min(size, 1 << 24)
            file.write(generator.randbytes(piece))
            size -= piece


def _fresh(path: Path) -> Path:
    path.unlink(missing_ok=True)
    return path


def _timed_fresh(path: Path, action: Callable[[], object]) -> float:
    _fresh(path)
    return timed(action)


def _command(command: list[str], target: Path) -> float:
    return _timed_fresh(target, lambda: subprocess.run(command, check=True, capture_output=True))


def _then_hash(transfer: Callable[[], None], one: Path, other: Path) -> None:
    transfer()
    _hash_both(one, other)


def _hash_both(one: Path, other: Path) -> None:
    """Hashes two files at once, each in a process of its own: what a careful FTP user does by hand."""
    running = [
        subprocess.Popen([sys.executable, "-c", _HASH, path], stdout=subprocess.PIPE) for path in (one, other)
    ]
    if len({process.communicate()[0] for process in running}) != 1:
        raise RuntimeError(f"{one} and {other} differ")
