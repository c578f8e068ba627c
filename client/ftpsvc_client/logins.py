"""Saved log-ins: who this device is on each server, and the device token that says so.

On the disk, small files of `ftpsvc_client.smallfiles`, which only their owner can read:

    STATE/tokens/KEY.json    {"server": URL, "user": NAME, "token": TEXT}, or "keyring": true in place of the token
    STATE/users/KEY.json     {"server": URL, "user": NAME}: who logs in there when nobody says who

With the package `keyring`, where it is installed and has a place for secrets that works, the token is kept there, and
the file says so. Source: docs/login.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Any

from ftpsvc.credentials import Credentials
from ftpsvc.exceptions import ConfigError
from ftpsvc.text import printable
from ftpsvc_client import smallfiles
from ftpsvc_client.profiles import state_directory

KEYRING_VARIABLE = "FTPSVC_KEYRING"
"""`no` keeps tokens in files even where there is a keyring."""

_SERVICE = "ftpsvc"


class Logins:
    """The device tokens of this user on this machine, one for each server and user there."""

    def __init__(self, folder: str | None = None) -> None:
        """Looks into `folder`, by default `state_directory()`."""
        self._folder = state_directory() if folder is None else folder

    def user(self, server: str) -> str | None:
        """Returns who logs in on a server when nobody says who: who logged in last. None: nobody did.

        Raises:
            ConfigError: What says so is damaged.
        """
        path, hint = self._user_path(server), _again(server)
        value = smallfiles.read(path, hint=hint)
        return None if value is None else smallfiles.text_field(value, "user", path, hint=hint)

    def get(self, server: str, user: str) -> Credentials | None:
        """Returns what this device logs in with as a user, or None where nothing is saved.

        Raises:
            ConfigError: It is damaged, or in a keyring that does not give it away.
        """
        path, hint = self._token_path(server, user), _again(server, user)
        value = smallfiles.read(path, hint=hint)
        if value is None:
            return None
        if value.get("keyring") is True:
            text = _from_keyring(server, user, hint)
        else:
            text = smallfiles.text_field(value, "token", path, hint=hint)
        try:
            return Credentials.token(user, text)
        except ConfigError:
            raise ConfigError(f"{path} is damaged: it holds no device token", hint=hint) from None

    def save(self, server: str, user: str, token: str) -> bool:
        """Keeps a token in place of any other of this user there, who is from now on who logs in there.

        Returns:
            Whether a keyring holds it.

        Raises:
            ConfigError: It cannot be written.
        """
        in_keyring = _into_keyring(server, user, token)
        kept: dict[str, object] = {"keyring": True} if in_keyring else {"token": token}
        smallfiles.write(self._token_path(server, user), {"server": server, "user": user, **kept})
        smallfiles.write(self._user_path(server), {"server": server, "user": user})
        return in_keyring

    def forget(self, server: str, user: str) -> bool:
        """Keeps nothing of a user on a server any more; returns whether there was something. Damaged files go too.

        Raises:
            ConfigError: It cannot be removed.
        """
        path = self._token_path(server, user)
        try:
            value = smallfiles.read(path, hint="")
            last = self.user(server)
        except ConfigError:
            value, last = None, user
        if value is not None and value.get("keyring") is True:
            _out_of_keyring(server, user)
        if last == user:
            smallfiles.remove(self._user_path(server))
        return smallfiles.remove(path)

    def _token_path(self, server: str, user: str) -> str:
        # In no URL and no name of a user there is a line feed.
        return os.path.join(self._folder, "tokens", _key(f"{server}\n{user}"))

    def _user_path(self, server: str) -> str:
        return os.path.join(self._folder, "users", _key(server))


def _key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32] + ".json"


def _again(server: str, user: str | None = None) -> str:
    return f"`ftpsvc login {printable(server)}{f' --user {printable(user)}' if user else ''}` writes it anew"


# ---------------------------------------------------------------- the keyring, where there is one


def _keyring() -> Any:
    """Returns the package `keyring`, which is nobody's dependency, imported now: most commands never need it."""
    from importlib import import_module

    return import_module("keyring")


def _into_keyring(server: str, user: str, token: str) -> bool:
    """Returns whether a keyring has taken the token, and gives it back."""
    if os.environ.get(KEYRING_VARIABLE, "").lower() in ("no", "0", "off"):
        return False
    try:
        keyring = _keyring()
        keyring.set_password(_SERVICE, _entry(server, user), token)
        return bool(keyring.get_password(_SERVICE, _entry(server, user)) == token)
    except Exception:  # noqa: BLE001  # not installed, or nothing that a desktop's keyring can do: a file can
        return False


def _from_keyring(server: str, user: str, hint: str) -> str:
    try:
        token = _keyring().get_password(_SERVICE, _entry(server, user))
    except Exception as error:  # noqa: BLE001  # locked, gone or broken: ours to say, not to explain
        raise ConfigError(f"the keyring does not open: {type(error).__name__}", hint=hint) from None
    if not token:
        raise ConfigError(f"the keyring holds no token of {printable(user)} any more", hint=hint)
    return str(token)


def _out_of_keyring(server: str, user: str) -> None:
    with contextlib.suppress(Exception):  # what is left there nobody looks for any more
        _keyring().delete_password(_SERVICE, _entry(server, user))


def _entry(server: str, user: str) -> str:
    return f"{user} {server}"
