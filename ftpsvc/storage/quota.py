"""What a storage asks before it takes bytes, and tells afterwards. The server decides who answers.

`storage` does not know accounts or databases: it is handed something of this shape (invariant 6 in docs/design.md).
"""

from __future__ import annotations

from typing import Protocol

from ftpsvc.paths import RemotePath


class Reservation(Protocol):
    """Room that was promised to one upload."""

    def confirm(self, displaced: int | None) -> None:
        """Exchanges the credit for the file that was to be replaced for what the rename is about to displace.

        Called under the path's lock, just before the rename: the file may have been moved away or made smaller since
        the promise, and its bytes are in use elsewhere by now.

        Args:
            displaced: Size of the file that is there now; None: no file is.

        Raises:
            QuotaExceeded: It does not fit any more. The promise is as it was.
        """

    def settle(self, size: int, displaced: int | None) -> None:
        """Charges what the commit really did: `size` bytes are new, `displaced` went (None: no file was there)."""

    def keep(self, size: int) -> int:
        """Gives the promise back, and charges a partial: what is left of the upload, to be resumed.

        The file that was to be replaced is still there, so not all of it may fit.

        Args:
            size: Bytes that there are.

        Returns:
            How many of them are charged, and may stay.
        """

    def release(self) -> None:
        """Gives the promise back. Does nothing after `settle` or `release`."""


class Quota(Protocol):
    """The books of one volume. Thread-safe."""

    def reserve(self, path: RemotePath, size: int, replaced: int | None, held: int = 0) -> Reservation:
        """Promises room for `size` bytes in place of `replaced` (None: a new file), in one atomic step.

        Args:
            path: Where the file will be.
            size: Its whole length.
            replaced: Length of the file that is there.
            held: Bytes of it that are charged as a partial: they become part of the promise.

        Raises:
            QuotaExceeded: It does not fit. The partial is charged as before.
        """

    def adopt(self, size: int) -> int:
        """Charges a partial that was found, as `Reservation.keep` does; returns how many bytes of it may stay."""

    def removed(self, size: int, files: int) -> None:
        """Notes that `files` files, or partials, of `size` bytes in all are gone."""

    def books(self) -> tuple[int | None, int | None, int]:
        """Returns limit, used and reserved bytes; limit None is no limit, used None is not counted."""


class _Nothing:
    def confirm(self, displaced: int | None) -> None:
        pass

    def settle(self, size: int, displaced: int | None) -> None:
        pass

    def keep(self, size: int) -> int:
        return size

    def release(self) -> None:
        pass


class Unlimited:
    """The quota of a volume that has none: keeps no books."""

    def reserve(self, path: RemotePath, size: int, replaced: int | None, held: int = 0) -> Reservation:
        return _NOTHING

    def adopt(self, size: int) -> int:
        return size

    def removed(self, size: int, files: int) -> None:
        pass

    def books(self) -> tuple[int | None, int | None, int]:
        return None, None, 0


_NOTHING = _Nothing()
