"""The client of ftpsvc: a Python API, and the command `ftpsvc`.

    import ftpsvc_client

    with ftpsvc_client.connect("ftpsvc://files.example.org", fingerprint="A1:B2:...") as client:
        client.put("report.pdf", "/inbox/report.pdf")
        for entry in client.list("/inbox"):
            print(entry.name, entry.size)
        client.get("/inbox/report.pdf", "copy.pdf")

Errors are classes of `ftpsvc.exceptions`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftpsvc.credentials import Credentials
    from ftpsvc_client.client import Client, connect
    from ftpsvc_client.homework import AssignmentStatus, Course, HandIn, Offer
    from ftpsvc_client.results import (
        Action,
        Identity,
        Problem,
        RemoteEntry,
        Space,
        SyncReport,
        Transfer,
        TreeReport,
        Verification,
    )
    from ftpsvc_client.retries import Retry
    from ftpsvc_client.watching import Progress

__all__ = [
    "Action",
    "AssignmentStatus",
    "Client",
    "Course",
    "Credentials",
    "HandIn",
    "Identity",
    "Offer",
    "Problem",
    "Progress",
    "RemoteEntry",
    "Retry",
    "Space",
    "SyncReport",
    "Transfer",
    "TreeReport",
    "Verification",
    "connect",
]

_HOMES = {
    "AssignmentStatus": "ftpsvc_client.homework",
    "Client": "ftpsvc_client.client",
    "Course": "ftpsvc_client.homework",
    "HandIn": "ftpsvc_client.homework",
    "Offer": "ftpsvc_client.homework",
    "Credentials": "ftpsvc.credentials",
    "Progress": "ftpsvc_client.watching",
    "Retry": "ftpsvc_client.retries",
    "connect": "ftpsvc_client.client",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for (PEP 562): `ftpsvc --help` must not wait for the protocol."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "ftpsvc_client.results")), name)
