"""Every header of the protocol as a pydantic model.

Requests are told apart by `op` (the table `REQUESTS`), a response by the request that it answers (`Request.answer`),
a trailer by its place after a payload. Unknown keys are ignored: that is how the protocol grows.
docs/protocol.schema.json is generated from these classes. Source: docs/protocol.md sections 2 to 7.

A model costs 0.2 to 0.6 ms to make, and a command needs few of them: each of the modules here is imported when one of
its names is first asked for (docs/design.md, "Start-up"). `headers.Put` asks when that line runs, `from
ftpsvc.protocol.headers import Put` at once; the client does the former for what not every command sends.
"""

from typing import TYPE_CHECKING, Any

from ftpsvc.protocol.headers.base import Header, Located, Request, Response, explain

if TYPE_CHECKING:
    from ftpsvc.protocol.headers.accounts import (
        Auth,
        AuthStep,
        Identified,
        IssueToken,
        RevokeToken,
        SetPassword,
        TokenIssued,
        TokensRevoked,
        Whoami,
    )
    from ftpsvc.protocol.headers.content import (
        Begin,
        Begun,
        Content,
        Get,
        Put,
        Stored,
        Trailer,
        TrailerError,
        Verified,
        Verify,
    )
    from ftpsvc.protocol.headers.delta import BlockList, Blocks, Patch
    from ftpsvc.protocol.headers.homework import (
        AssignmentLine,
        AssignmentList,
        Assignments,
        HandedIn,
        HandInBegun,
        OfferedFile,
        OfferedLine,
        SubmitBegin,
        SubmitCommit,
    )
    from ftpsvc.protocol.headers.listing import EntryLine, Listing, Ls, Stat, Status
    from ftpsvc.protocol.headers.names import Cd, Df, Made, Mkdir, Mv, Pwd, Removed, Rm, Room
    from ftpsvc.protocol.headers.operations import REQUESTS
    from ftpsvc.protocol.headers.session import ErrorResponse, Greeting, Quit, Window

__all__ = [
    "REQUESTS",
    "AssignmentLine",
    "AssignmentList",
    "Assignments",
    "Auth",
    "AuthStep",
    "Begin",
    "Begun",
    "BlockList",
    "Blocks",
    "Cd",
    "Content",
    "Df",
    "EntryLine",
    "ErrorResponse",
    "Get",
    "Greeting",
    "HandInBegun",
    "HandedIn",
    "Header",
    "Identified",
    "IssueToken",
    "Listing",
    "Located",
    "Ls",
    "Made",
    "Mkdir",
    "Mv",
    "OfferedFile",
    "OfferedLine",
    "Patch",
    "Put",
    "Pwd",
    "Quit",
    "Removed",
    "Request",
    "Response",
    "RevokeToken",
    "Rm",
    "Room",
    "SetPassword",
    "Stat",
    "Status",
    "Stored",
    "SubmitBegin",
    "SubmitCommit",
    "TokenIssued",
    "TokensRevoked",
    "Trailer",
    "TrailerError",
    "Verified",
    "Verify",
    "Whoami",
    "Window",
    "explain",
]

_HOMES = {
    "accounts": (
        "Auth",
        "AuthStep",
        "Identified",
        "IssueToken",
        "RevokeToken",
        "SetPassword",
        "TokenIssued",
        "TokensRevoked",
        "Whoami",
    ),
    "content": (
        "Begin",
        "Begun",
        "Content",
        "Get",
        "Put",
        "Stored",
        "Trailer",
        "TrailerError",
        "Verified",
        "Verify",
    ),
    "delta": ("BlockList", "Blocks", "Patch"),
    "homework": (
        "AssignmentLine",
        "AssignmentList",
        "Assignments",
        "HandInBegun",
        "HandedIn",
        "OfferedFile",
        "OfferedLine",
        "SubmitBegin",
        "SubmitCommit",
    ),
    "listing": ("EntryLine", "Listing", "Ls", "Stat", "Status"),
    "names": ("Cd", "Df", "Made", "Mkdir", "Mv", "Pwd", "Removed", "Rm", "Room"),
    "operations": ("REQUESTS",),
    "session": ("ErrorResponse", "Greeting", "Quit", "Window"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # or a name that does not exist would be anything at all

    def __getattr__(name: str) -> Any:
        """Imports what is asked for (PEP 562), and keeps it: the next one who asks is not led here."""
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value
