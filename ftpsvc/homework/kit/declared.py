"""What a hand-in says of its server: `accounts.toml` (docs/kit.md, "What a hand-in declares")."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ftpsvc.homework.kit.said import Said, said
from ftpsvc.homework.quantities import size
from ftpsvc.text import printable

FILE: Final = "accounts.toml"

LEAST: Final = 64 << 10
MOST: Final = 16 << 20
"""Bytes of a quota that can be measured: less is what lies in a home already, more takes too long to fill."""

_LONGEST: Final = 64 << 10
_KEYS: Final = {"dialect", "login", "tls", "digest", "order", "quiet_put", "reset", "words", "account"}
_ACCOUNT: Final = {"name", "password", "quota", "home"}


class DeclarationError(Exception):
    """A hand-in's file says what cannot be. It is the student's fault, and told as that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account that the server starts with.

    Attributes:
        name: As it is sent.
        password: Likewise.
        quota: Bytes that its home may hold; None: without a limit, or it was not said.
        home: Its folder, relative to the hand-in.
    """

    name: str
    password: str
    quota: int | None = None
    home: str = ""

    def with_password(self, password: str) -> Account:
        """Returns the same account with another password, which lets nobody in."""
        return Account(name=self.name, password=password, quota=self.quota, home=self.home)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a hand-in declares.

    Attributes:
        dialect: What its server speaks; None where it does not say.
        login: How a password is sent: "clear", "digest" or "challenge"; None is the dialect's own way.
        tls: Whether the server speaks TLS.
        digest: The algorithm of digests, or "none"; None is the dialect's own.
        order: The order of bytes in a length: "little" or "big"; None is the dialect's own.
        quiet_put: Whether the server answers nothing to a `put`.
        reset: A command that is run before the server starts; () is none.
        words: What the server calls what the dialect calls otherwise.
        accounts: The accounts that it starts with.
    """

    dialect: str | None = None
    login: str | None = None
    tls: bool = False
    digest: str | None = None
    order: str | None = None
    quiet_put: bool = False
    reset: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    accounts: tuple[Account, ...] = ()

    @property
    def limited(self) -> Account | None:
        """The first account with a quota that can be measured, or None."""
        return next((one for one in self.accounts if LEAST <= (one.quota or 0) <= MOST), None)


def read(folder: Path) -> Declared:
    """Returns what a hand-in declares; all of it is as it is without the file where there is none.

    Raises:
        DeclarationError: The file is not one of accounts.
    """
    path = folder / FILE
    if path.is_symlink() or not path.is_file():
        return Declared()
    try:
        if path.stat().st_size > _LONGEST:
            raise DeclarationError(
                said("{file} has more than {number} KiB", file=FILE, number=_LONGEST >> 10)
            )
        given = tomllib.loads(path.read_text(encoding="utf-8"))
        return _declared(given)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.args[0] if error.args and isinstance(error.args[0], Said) else printable(str(error))
        raise DeclarationError(said("{file}: {reason}", file=FILE, reason=reason)) from error


def _declared(given: dict[str, Any]) -> Declared:
    _known(given, _KEYS, "")
    words = given.get("words", {})
    if not isinstance(words, dict) or not all(
        isinstance(one, str) and (one or word == "\n") for word, one in words.items()
    ):
        raise ValueError(said('words is a table of texts: [words], filename = "name"'))
    reset = given.get("reset", [])
    if not isinstance(reset, list) or not all(isinstance(one, str) for one in reset):
        raise ValueError(said('reset is a command: reset = ["python", "reset.py"]'))
    accounts = given.get("account", [])
    if not isinstance(accounts, list):
        raise ValueError(said("an account begins with [[account]]"))
    found = [_account(one) for one in accounts]
    if len({one.name for one in found}) != len(found):
        raise ValueError(said("two accounts have the same name"))
    return Declared(
        dialect=_text(given, "dialect"),
        login=_one_of(given, "login", ("clear", "digest", "challenge")),
        tls=_flag(given, "tls"),
        digest=_one_of(given, "digest", ("md5", "sha1", "sha256", "none")),
        order=_one_of(given, "order", ("little", "big")),
        quiet_put=_flag(given, "quiet_put"),
        reset=tuple(reset),
        words=dict(words),
        accounts=tuple(found),
    )


def _account(given: object) -> Account:
    if not isinstance(given, dict):
        raise ValueError(said("an account begins with [[account]]"))
    _known(given, _ACCOUNT, "account")
    name, password = _text(given, "name"), _text(given, "password")
    if not name or not password:
        raise ValueError(said("an account has a name and a password"))
    home = _text(given, "home")
    home = name if home is None else home
    parts = home.split("/")
    if not all(parts) or any(part in (".", "..") for part in parts) or "\0" in home:
        text = said(
            'the home of {name} is a folder in the hand-in: home = "home/{name}"', name=printable(name)
        )
        raise ValueError(text)
    quota = given.get("quota")
    limit = None
    if quota is not None:
        limit = quota if type(quota) is int else size(quota) if isinstance(quota, str) else None
        if limit is None or limit <= 0:
            text = said('the quota of {name} is a number of bytes, or a text as "2M"', name=printable(name))
            raise ValueError(text)
    return Account(name=name, password=password, quota=limit, home=home)


def _known(given: dict[str, Any], keys: set[str], where: str) -> None:
    if unknown := sorted(given.keys() - keys):
        text = said(
            "there is no {key}, but {keys}", key=printable(repr(unknown[0])), keys=", ".join(sorted(keys))
        )
        raise ValueError(said("{where}: {reason}", where=where, reason=text) if where else text)


def _text(given: dict[str, Any], key: str) -> str | None:
    value = given.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(said("{key} is a text", key=key))
    return value


def _one_of(given: dict[str, Any], key: str, values: tuple[str, ...]) -> str | None:
    value = _text(given, key)
    if value is not None and value not in values:
        raise ValueError(said("{key} is one of {values}", key=key, values=", ".join(values)))
    return value


def _flag(given: dict[str, Any], key: str) -> bool:
    value = given.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(said("{key} is true or false", key=key))
    return value
