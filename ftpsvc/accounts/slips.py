"""The printable list of enrolment codes: one slip for each student, as text or as a page for a browser.

A slip carries what a student needs to know that the server is the right one: its address and the fingerprint of its
certificate (docs/security.md, "Identity").
"""

from __future__ import annotations

import html
import time
from dataclasses import dataclass

from ftpsvc.text import printable


@dataclass(frozen=True, slots=True)
class Slip:
    """One student's slip.

    Attributes:
        user: The user name.
        display_name: May be empty.
        group: May be empty.
        code: The enrolment code, in groups.
        expires: Seconds since 1970, UTC.
    """

    user: str
    display_name: str
    group: str
    code: str
    expires: int


@dataclass(frozen=True, slots=True)
class Server:
    """What is said about the server.

    Attributes:
        address: Its URL, or None where it is not known.
        fingerprint: Of its certificate, or None.
    """

    address: str | None
    fingerprint: str | None


def as_text(slips: list[Slip], server: Server) -> str:
    """Returns the slips as plain text with lines to cut along."""
    parts = []
    for slip in _sorted(slips):
        lines = [f"{label + ':':14}{value}" for label, value in _fields(slip, server)]
        parts.append("\n".join([*lines, "", f"    {_command(slip, server)}"]))
    cut = "\n\n" + "- " * 36 + "\n\n"
    return cut.join(parts) + "\n"


def as_html(slips: list[Slip], server: Server) -> str:
    """Returns the slips as one page that needs nothing else, two columns wide on paper."""
    slips = _sorted(slips)
    body = []
    for slip in slips:
        fields = []
        for label, value in _fields(slip, server):
            shown = html.escape(value)
            if label == "Fingerprint":  # it is long, and may be broken between two bytes only
                shown = shown.replace(":", ":<wbr>")
            fields.append(f'<dt>{label}</dt><dd class="{label.lower().replace(" ", "-")}">{shown}</dd>')
        words = " ".join(f"<span>{html.escape(word)}</span>" for word in _command(slip, server).split(" "))
        body.append(f"<section><dl>{''.join(fields)}</dl><pre>{words}</pre></section>")
    return _PAGE.replace("@BODY@", "\n".join(body))


def _sorted(slips: list[Slip]) -> list[Slip]:
    return sorted(slips, key=lambda slip: (slip.group, slip.user))


def _fields(slip: Slip, server: Server) -> list[tuple[str, str]]:
    fields = [
        ("Name", slip.display_name),
        ("Group", slip.group),
        ("User", slip.user),
        ("Code", slip.code),
        ("Valid until", time.strftime("%Y-%m-%d %H:%M", time.localtime(slip.expires))),
        ("Server", server.address or ""),
        ("Fingerprint", server.fingerprint or ""),
    ]
    return [(label, printable(value)) for label, value in fields if value]


def _command(slip: Slip, server: Server) -> str:
    user = f'"{slip.user}"' if " " in slip.user else slip.user
    return printable(f"ftpsvc login {server.address or 'ftpsvc://HOST'} --user {user}")


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Enrolment codes</title>
<style>
@page { margin: 10mm; }
body { font: 10pt/1.35 system-ui, sans-serif; margin: 0; display: grid; grid-template-columns: 1fr 1fr; }
section { border: 1px dashed #888; padding: 3mm 4mm; break-inside: avoid; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 3mm; margin: 0; }
dt { color: #555; }
dd { margin: 0; }
.name { font-weight: bold; overflow-wrap: anywhere; }
.code { font: bold 12pt/1.2 ui-monospace, monospace; }
.fingerprint { font: 7.5pt/1.4 ui-monospace, monospace; grid-column: 1 / -1; }
pre { margin: 2mm 0 0; white-space: pre-wrap; font: 8.5pt/1.4 ui-monospace, monospace; }
pre span { white-space: nowrap; }
@media screen { body { margin: 1cm; } }
@media screen and (max-width: 700px) { body { grid-template-columns: 1fr; } }
</style>
</head>
<body>
@BODY@
</body>
</html>
"""
