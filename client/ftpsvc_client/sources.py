"""What an upload can be read from: a local file, a stream, or bytes."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import BinaryIO, cast

from ftpsvc.exceptions import ReadFailed
from ftpsvc_client.content import FileSource


class _StreamSource:
    """A seekable binary stream, or one's content, as an upload's source."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        here = stream.tell()
        self.size = stream.seek(0, io.SEEK_END) - here
        stream.seek(here)
        self._stream = stream
        self._here = here

    def rewind(self) -> None:
        """Goes back to where the stream stood."""
        self._stream.seek(self._here)

    def read_into(self, view: memoryview) -> int:
        """Reads the next bytes and returns how many; 0 is the end."""
        data = self._stream.read(len(view))
        view[: len(data)] = data
        return len(data)

    def unchanged(self) -> bool:
        """Returns whether it ends where it ended when it was opened."""
        return not self._stream.read(1)


@contextlib.contextmanager
def opened(
    source: str | os.PathLike[str] | BinaryIO | bytes,
) -> Iterator[tuple[FileSource | _StreamSource, str | None]]:
    """Opens what `put` was given and yields it with its local path, None for what has none."""
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        with FileSource(path) as file:
            yield file, path
    elif isinstance(source, (bytes, bytearray, memoryview)):
        yield _StreamSource(io.BytesIO(source), "the given bytes"), None
    elif source.seekable():
        yield _StreamSource(source, "the given stream"), None
    else:
        import tempfile

        with tempfile.TemporaryFile() as copy:
            while data := source.read(1 << 20):
                copy.write(data)
            if data is None:  # a raw stream that does not block has nothing now, which is not its end
                raise ReadFailed("the given stream", "it does not block, and has nothing to read now")
            copy.seek(0)
            yield _StreamSource(cast(BinaryIO, copy), "the given stream"), None
