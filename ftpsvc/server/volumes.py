"""What is kept where on the disk: the root's layout, and the storage that guests see.

ROOT/.ftpsvc/     the server's own: keys, database; no operation can see it
ROOT/public/      what guests see as / where nothing else is shared
ROOT/users/NAME/  the homes (`server.homes`)
ROOT/handouts/    what every user finds under /handouts, and teachers change
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from ftpsvc.addresses import Address
from ftpsvc.confine import open_root
from ftpsvc.exceptions import ConfigError
from ftpsvc.server.config import Settings
from ftpsvc.server.homes import USERS
from ftpsvc.storage.base import Storage
from ftpsvc.storage.local import LocalStorage
from ftpsvc.storage.together import Syncers

HIDDEN: Final = ".ftpsvc"
PUBLIC: Final = "public"
HANDOUTS: Final = "handouts"


def check(settings: Settings) -> None:
    """Looks whether the folders named can be served, without making anything.

    Raises:
        ConfigError: They cannot.
    """
    root, share = settings.root, settings.share
    if root.exists() and not root.is_dir():
        raise ConfigError(f"the root {root} is no folder")
    if share is None:
        return
    if share.exists() and not share.is_dir():
        raise ConfigError(f"{share} is no folder and cannot be shared")
    if not share.is_dir():
        raise ConfigError(
            f"the folder to be shared, {share}, does not exist", hint="make it, or name another"
        )
    hidden = (root / HIDDEN).resolve()
    shared = share.resolve()
    if shared == hidden or hidden in shared.parents:
        raise ConfigError(f"{share} lies in the server's own folder and cannot be shared")
    if shared in hidden.parents:
        raise ConfigError(
            f"{share} cannot be shared: the server's own folder {root / HIDDEN} lies in it",
            hint="name a root outside of it with --root",
        )


def is_in_root(settings: Settings, address: Address) -> bool:
    """Returns whether an address is an AF_UNIX socket that lies in the root, which may have to be made first."""
    return address.path is not None and settings.root.resolve() in Path(address.path).resolve().parents


def lay_out(root: Path, *, durable: bool = True) -> None:
    """Makes what is missing of the root's layout.

    Args:
        root: The root.
        durable: Whether its names are synced.

    Raises:
        ConfigError: It cannot be made.
    """
    try:
        missing = [folder for folder in (root, *root.parents) if not folder.exists()]
        root.mkdir(parents=True, exist_ok=True)
        (root / HIDDEN).mkdir(mode=0o700, exist_ok=True)
        (root / PUBLIC).mkdir(mode=0o755, exist_ok=True)
        (root / HANDOUTS).mkdir(mode=0o755, exist_ok=True)
        (root / USERS).mkdir(mode=0o700, exist_ok=True)
        if durable:
            # Also where nothing was missing: who made it may have been killed before this.
            for folder in {root, root.parent, *(made.parent for made in missing)}:
                _sync(folder)
    except OSError as error:
        raise ConfigError(f"cannot make the root {root}: {error.strerror}") from None


def _sync(folder: Path) -> None:
    with suppress(PermissionError), open_root(folder) as opened:  # what lies above the root may be another's
        opened.sync()


def open_for_guests(settings: Settings, syncers: Syncers | None = None) -> Storage | None:
    """Opens what guests see, or returns None when they see nothing. The caller closes it.

    Raises:
        ConfigError: It cannot be served.
    """
    if settings.guest_may == "none":
        return None
    if settings.share is None:
        # Writable by the server even where guests only read: digests of files put there by hand are recorded.
        return LocalStorage(settings.root / PUBLIC, durability=settings.durability, syncers=syncers)
    # In a folder that is only lent nothing is left behind, not even a digest.
    return LocalStorage(
        settings.share,
        durability=settings.durability,
        read_only=settings.guest_may != "write",
        syncers=syncers,
    )
