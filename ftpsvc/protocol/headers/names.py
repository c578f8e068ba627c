"""The headers of directories and names: `cd`, `pwd`, `mkdir`, `rm`, `mv`, `df`.

Source: docs/protocol.md section 6.
"""

from typing import Literal

from ftpsvc.protocol.headers.base import Located, Request, Response, Size


class Cd(Request):
    """Changes the session's directory."""

    answer = Located
    base = True

    op: Literal["cd"] = "cd"
    path: str


class Pwd(Request):
    """Asks for the session's directory."""

    answer = Located

    op: Literal["pwd"] = "pwd"


class Made(Located):
    """The answer to `mkdir`."""

    created: bool


class Mkdir(Request):
    """Makes a directory."""

    answer = Made

    op: Literal["mkdir"] = "mkdir"
    path: str
    parents: bool = False
    """Also make what is missing on the way; it is no error if the directory is there."""


class Removed(Response):
    """The answer to `rm`."""

    removed: Size
    """How many names went."""


class Rm(Request):
    """Removes a file or directory."""

    answer = Removed

    op: Literal["rm"] = "rm"
    path: str
    recursive: bool = False


class Mv(Request):
    """Gives a file or directory another path."""

    answer = Located

    op: Literal["mv"] = "mv"
    path: str
    to: str
    clobber: bool = True


class Room(Response):
    """The answer to `df`: bytes. Without `limit` there is no quota; without `used` nobody counts."""

    limit: Size | None = None
    used: Size | None = None
    reserved: Size = 0
    free: Size | None = None
    """Free on the server's disk."""


class Df(Request):
    """Asks how much room there is."""

    answer = Room

    op: Literal["df"] = "df"
