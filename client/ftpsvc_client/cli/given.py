"""What somebody logs in with: from stdin, the environment, or a person at the terminal; never from an argument.

Every process on the machine can read arguments. Source: docs/login.md, docs/security.md.
"""

from __future__ import annotations

import contextlib
import re
import sys
from typing import TYPE_CHECKING, NamedTuple

from ftpsvc.exceptions import ConfigError
from ftpsvc.text import printable
from ftpsvc_client.cli import asking, entry
from ftpsvc_client.logins import Logins
from ftpsvc_client.profiles import Target

if TYPE_CHECKING:
    from ftpsvc.credentials import Credentials

_MAX_LINE = 4096
_LIKE_A_CODE = re.compile(r"\w{4}([-\s\u2010-\u2014\u2212]\w{4}){3}")
"""Groups as they are printed. Sixteen letters in one piece may well be a password: --code says that they are none."""


class Given(NamedTuple):
    """What was given to log in with, and what is to be set."""

    credentials: Credentials
    guessed: bool
    """Whether it is taken for a code by its form alone."""
    password: str | None


def user_name(target: Target) -> str:
    """Returns who is to log in: the answer of a person, else who did so before.

    Raises:
        ConfigError: Nothing says it, and there is nobody to ask.
    """
    with contextlib.suppress(ConfigError):  # what is damaged is written anew
        target = target._replace(user=target.user or Logins().user(target.server))
    if asking.somebody_there():
        return asking.text("User", target.user)
    if target.user is None:
        raise ConfigError(
            "nothing says who is to log in, and there is nobody to ask",
            hint=f"--user NAME, or {entry.USER_VARIABLE}=NAME",
        )
    return target.user


def secrets(user: str, code: bool | None, *, from_stdin: bool, set_password: bool) -> Given:
    """Gathers what to log in with: from stdin, else the environment, else a person.

    Raises:
        ConfigError: There is nothing, or it makes no sense.
    """
    from ftpsvc.credentials import Credentials, read_code

    token = None if from_stdin else entry.setting(entry.TOKEN_VARIABLE)
    if token is not None:
        return Given(entry.token_of(user, token), False, new_password(from_stdin) if set_password else None)
    if from_stdin:
        secret = _line_of_stdin("password or code")
    else:
        secret = entry.setting(entry.PASSWORD_VARIABLE) or _asked_secret(user, code)
    guessed = code is None and _is_like_a_code(secret)
    if code or guessed:
        read_code(secret)
        credentials = Credentials.code(user, secret)
    else:
        credentials = Credentials.password(user, secret)
    return Given(credentials, guessed, new_password(from_stdin) if set_password else None)


def _is_like_a_code(secret: str) -> bool:
    from ftpsvc.credentials import read_code

    if _LIKE_A_CODE.fullmatch(secret.strip()) is None:
        return False
    try:
        read_code(secret)
    except ConfigError:
        return False
    return True


def _asked_secret(user: str, code: bool | None) -> str:
    if not asking.somebody_there():
        raise ConfigError(
            "there is nobody to ask for a password or code",
            hint=f"--password-stdin, or {entry.PASSWORD_VARIABLE} or {entry.TOKEN_VARIABLE} in the environment",
        )
    kind = "Password or code" if code is None else "Code" if code else "Password"
    return asking.secret(f"{kind} of {printable(user)}")


def new_password(from_stdin: bool) -> str:
    """Returns the new password, from the next line of stdin or a person.

    Raises:
        ConfigError: It cannot be one.
    """
    from ftpsvc.scram import check_new_password

    if from_stdin:
        password = _line_of_stdin("new password")
        check_new_password(password)
        return password
    if not asking.somebody_there():
        raise ConfigError("there is nobody to ask for a new password", hint="--password-stdin reads it")
    return asking.new_password()


def _line_of_stdin(what: str) -> str:
    """Returns the next line of stdin without its end.

    Raises:
        ConfigError: There is none, or it is no text.
    """
    try:
        line = sys.stdin.readline(_MAX_LINE) if sys.stdin is not None else ""
        line.encode()
    except UnicodeError:
        raise ConfigError(f"the {what} on stdin is not valid Unicode") from None
    line = line.rstrip("\r\n")
    if not line:
        raise ConfigError(f"there is no {what} on stdin", hint="--password-stdin reads one line")
    return line
