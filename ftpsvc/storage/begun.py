"""An upload to a local disk that can be resumed: it is written where its partial lies, and stays when it breaks off.

Source: docs/protocol.md section 5.6 and docs/storage.md section 7.
"""

from __future__ import annotations

import stat
from contextlib import suppress
from typing import Final

from ftpsvc.confine import Staged
from ftpsvc.digests import Bytes, Hasher
from ftpsvc.paths import RemotePath
from ftpsvc.storage.base import Begun
from ftpsvc.storage.partials import CHECKPOINT, Partials, partial_name
from ftpsvc.storage.quota import Reservation
from ftpsvc.storage.upload import LocalUpload
from ftpsvc.storage.volume import Volume
from ftpsvc.storage.writers import Writer

_READ_BITS: Final = 0o444
_EXECUTE_BITS: Final = 0o111


class LocalBegun(LocalUpload, Begun):
    """See `ftpsvc.storage.base.Begun`; made by `LocalStorage.begin`."""

    __slots__ = ("_checked", "_executable", "_name", "_partials", "_writer")

    def __init__(
        self,
        volume: Volume,
        path: RemotePath,
        size: int,
        *,
        algorithm: str,
        hasher: Hasher,
        held: int,
        staged: Staged,
        reservation: Reservation,
        partials: Partials,
        writer: Writer,
    ) -> None:
        super().__init__(
            volume,
            path,
            size,
            algorithm=algorithm,
            hasher=hasher,
            modified=None,
            clobber=True,
            staged=staged,
            reservation=reservation,
        )
        self.written = held
        self._partials = partials
        self._writer = writer
        self._name = partial_name(path, writer.owner)
        self._executable = False
        self._checked = held

    def digest(self) -> str:
        return self._hasher.hexdigest()

    def describe(self, *, modified: int | None, mode: int | None, clobber: bool) -> None:
        self._modified = modified
        self._executable = mode is not None and bool(mode & stat.S_IXUSR)
        self._clobber = clobber

    def write(self, data: Bytes) -> None:
        super().write(data)
        if self.written - self._checked >= CHECKPOINT:
            self._check_in()

    def _check_in(self) -> None:
        """Makes what there is durable, so that a power cut takes no more than what comes from here on."""
        self._checked = self.written
        if self._volume.durable and self._staged is not None:
            with self._or_abort():
                self._staged.sync()
                self._partials.write_note(self.path, self._writer.owner, self.written)

    def _prepare(self, staged: Staged) -> None:
        mode = stat.S_IMODE(staged.stat().st_mode) & ~_EXECUTE_BITS
        # Who may read it may execute it: what opening it with 0777 instead of 0666 makes of a common umask.
        wanted = mode | (mode & _READ_BITS) >> 2 if self._executable else mode
        if wanted != mode or self._executable:
            staged.set_mode(wanted)

    def _published(self) -> None:
        self._partials.forget(self._name)
        self._writer.release()

    def suspend(self, size: int | None = None) -> None:
        staged = self._staged
        if staged is None:
            return
        keep = self.written if size is None else min(size, self.written)
        if not keep:
            self.abort()
            return
        try:
            if keep < self.written:
                staged.cut(keep)
            if self._volume.durable:
                staged.sync()
        except OSError:  # nobody knows what there is now
            self.abort()
            return
        self._staged = None
        kept = self._reservation.keep(keep)
        try:
            if kept < keep:
                staged.cut(kept)
            staged.leave()
        except OSError:
            self._partials.drop(self._name)
            if kept:
                self._volume.quota.removed(kept, 1)
        else:
            self._leave_note(kept)
        finally:
            self._writer.release()

    def _leave_note(self, kept: int) -> None:
        if not kept:
            self._partials.drop(self._name)
            return
        with suppress(OSError):  # the note from before is true as well, only more careful
            self._partials.write_note(self.path, self._writer.owner, kept)

    def abort(self) -> None:
        staged, self._staged = self._staged, None
        if staged is not None:
            staged.discard()
            self._partials.drop(self._name)
            self._reservation.release()
            self._writer.release()
