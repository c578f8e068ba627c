"""What of a conversation is kept in the audit, and as what (docs/audit.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ftpsvc.exceptions import FtpsvcError, InvalidPath
from ftpsvc.protocol.connection import RequestReceived
from ftpsvc.protocol.headers import Get, IssueToken, Patch, Put, Request, RevokeToken
from ftpsvc.server.audit import Audit, Urgency
from ftpsvc.server.exchange import Exchange
from ftpsvc.server.session import Rights, Session

KEPT: Final = frozenset(
    {"auth", "put", "patch", "get", "mkdir", "rm", "mv", "set-password", "issue-token", "revoke-token"}
)
"""Ops that are always kept. Of all others only what is refused for one of `REFUSALS` is."""

REFUSALS: Final = frozenset({"auth-required", "permission-denied", "invalid-path", "busy"})

_ACCOUNT: Final = frozenset({"set-password", "issue-token", "revoke-token"})
_NAMES: Final = {"auth": "log-in", "issue-token": "token-issued", "revoke-token": "token-revoked"}
_MOST_REFUSALS: Final = 100
"""Of one session: somebody who is refused a million times must not push everything else out of the files. What who has
not logged in, guest or not, may cause is bounded over all their sessions too, by `Allowance`."""
_STRANGERS_CHARACTERS: Final = 80


def request(
    audit: Audit, exchange: Exchange, event: RequestReceived, outcome: BaseException | None, seconds: float
) -> None:
    """Keeps a request.

    Args:
        audit: Where.
        exchange: Its connection.
        event: The request.
        outcome: Why it was not done; None when it was.
        seconds: How long it took.
    """
    session = exchange.session
    op = event.op
    stranger, left_out = False, None
    operation = exchange.operations.get(op)
    kept = op in KEPT or (operation is not None and operation.kept)
    if outcome is None:
        # The first step of a log-in says nothing yet.
        if not kept or (op == "auth" and session.identity is None):
            return
        result = str(exchange.about.get("result", "ok"))
    else:
        result = outcome.code if isinstance(outcome, FtpsvcError) else "internal"
        if not kept and result not in REFUSALS:
            return
        stranger = session.identity is None
        if session.rights is not Rights.NONE:
            session.refused += 1
            if session.refused > _MOST_REFUSALS:
                return
        if stranger:
            left_out = audit.strangers.take(session.address)
            if left_out is None:
                return
    fields: dict[str, Any] = {"result": result, **_who(session)}
    if event.request is not None:
        _add_what(fields, session, event.request, exchange.about)
    fields |= exchange.about
    fields["result"] = result
    if stranger:
        fields = {key: _shortened(value) for key, value in fields.items()} | {"left_out": left_out or None}
    if op == "auth" and session.identity is not None and outcome is None:
        del fields["claimed"]
        fields |= {"via": session.identity.kind.value, "token": session.identity.token_id}
    fields["seconds"] = round(seconds, 6)
    urgency = Urgency.SOON
    if op in _ACCOUNT and outcome is None:
        urgency = Urgency.SYNCED
    elif op == "auth" or outcome is not None:
        urgency = Urgency.WRITTEN
    audit.add(_NAMES.get(op, op), fields, urgency)


def _shortened(value: Any) -> Any:
    """Cuts a text of somebody who may write whatever they like."""
    if isinstance(value, str) and len(value) > _STRANGERS_CHARACTERS:
        return value[:_STRANGERS_CHARACTERS] + "..."
    return value


def turned_away(audit: Audit, address: str, reason: str) -> None:
    """Keeps that a connection got no seat."""
    audit.record_rarely("turned-away", result="busy", address=address, reason=reason)


def end(audit: Audit, session: Session) -> None:
    """Ends what is kept of a session."""
    if session.refused > _MOST_REFUSALS:
        audit.record("more-refusals", count=session.refused - _MOST_REFUSALS, **_who(session))
    audit.flush()


def _who(session: Session) -> dict[str, Any]:
    return {
        "user": session.identity.user.name if session.identity is not None else None,
        "address": session.address,
        "session": session.number,
    }


def _add_what(
    fields: dict[str, Any], session: Session, asked: Request, about: Mapping[str, str | int]
) -> None:
    """Adds what the request says that may be kept. Never a verifier: fields are named one by one."""
    if isinstance(asked, (Get, Put)) and "path" in about:  # as most are, and many
        fields["path"] = about["path"]
        if isinstance(asked, Put):
            fields["size"] = asked.size
        if asked.offset:
            fields["offset"] = asked.offset
        return
    for key in ("path", "to"):
        # Not getattr: what a model does not have costs pydantic an exception.
        text = asked.__dict__.get(key)
        if isinstance(text, str):
            known = about.get(key)
            fields[key] = _absolute(session, text) if known is None else known
    if isinstance(asked, Put):
        fields["size"] = asked.size
    elif isinstance(asked, Patch):
        fields["size"] = asked.file_size
    if isinstance(asked, (Get, Put)) and asked.offset:
        fields["offset"] = asked.offset
    if isinstance(asked, RevokeToken):
        fields["token"] = asked.token or "all"
    elif isinstance(asked, IssueToken):
        fields["label"] = asked.label


def _absolute(session: Session, text: str) -> str:
    try:
        return str(session.path(text))
    except InvalidPath:
        return text
