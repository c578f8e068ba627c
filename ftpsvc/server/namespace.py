"""What one session sees: a table of mounts, from the paths that a client says to a storage and a path in it.

Now every session has one mount at `/`; homes, hand-outs and the like are further rows of the table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NamedTuple

from ftpsvc.exceptions import InvalidPath, NotFound, PermissionDenied, StorageError
from ftpsvc.paths import ROOT, RemotePath
from ftpsvc.storage.base import Storage


@dataclass(frozen=True, slots=True)
class Mount:
    """A storage and where it is seen.

    Attributes:
        prefix: The directory that is the storage's root.
        storage: What is there.
        writable: Whether this session may change anything in it.
    """

    prefix: RemotePath
    storage: Storage
    writable: bool


class Place(NamedTuple):
    """Where a path leads. A context manager: errors of the storage that leave it name paths as the client knows them.

    Attributes:
        path: The path as the client sees it.
        mount: The mount that it lies in.
        inner: The path as the mount's storage sees it.
    """

    path: RemotePath
    mount: Mount
    inner: RemotePath

    @property
    def storage(self) -> Storage:
        """The storage that it lies in."""
        return self.mount.storage

    def __enter__(self) -> Storage:
        return self.mount.storage

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        prefix = self.mount.prefix
        if prefix.is_root or error is None:
            return
        if isinstance(error, StorageError | PermissionDenied) and error.path:
            error.path = str(prefix).rstrip("/") + error.path
        elif isinstance(error, InvalidPath) and error.name.startswith("/"):
            error.name = str(prefix) + error.name


class Namespace:
    """The mounts of one session. Immutable, so it may be shared by sessions that see the same."""

    def __init__(self, mounts: Iterable[Mount] = ()) -> None:
        # Deepest first: the first prefix that fits is the one that counts.
        self._mounts: Final = tuple(sorted(mounts, key=lambda mount: -len(mount.prefix.parts)))

    def resolve(self, path: RemotePath) -> Place:
        """Returns where a path leads.

        Raises:
            NotFound: No mount has it.
        """
        for mount in self._mounts:
            if path.starts_with(mount.prefix):
                above = len(mount.prefix.parts)
                return Place(path, mount, RemotePath(path.parts[above:]) if above else path)
        raise NotFound(str(path))

    def is_mount_point(self, path: RemotePath) -> bool:
        """Returns whether a mount begins exactly here; the root always counts."""
        return path == ROOT or any(mount.prefix == path for mount in self._mounts)

    def beneath(self, path: RemotePath) -> list[str]:
        """Returns the names of the mount points that lie directly in a directory, sorted."""
        depth = len(path.parts)
        return sorted(
            mount.prefix.parts[depth]
            for mount in self._mounts
            if len(mount.prefix.parts) == depth + 1 and mount.prefix.starts_with(path)
        )

    def check_movable(self, path: RemotePath) -> None:
        """Refuses to remove, move or replace what the server itself put there: the root and the mount points.

        Raises:
            PermissionDenied: `path` is one of them, or one of them lies beneath it.
        """
        if path == ROOT or any(mount.prefix.starts_with(path) for mount in self._mounts):
            raise PermissionDenied("this directory belongs to the server: it stays where it is", str(path))
