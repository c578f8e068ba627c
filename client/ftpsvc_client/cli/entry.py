"""How each command gets in: which credentials are for a server, whose certificate is believed, and what is said if not.

What the environment says goes before what `ftpsvc login` saved, and where there is neither the session is a guest's.
Source: docs/login.md.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ftpsvc.addresses import Address
from ftpsvc.exceptions import (
    AuthenticationFailed,
    CertificateChanged,
    ConfigError,
    UnknownCertificate,
    UntrustedServer,
)
from ftpsvc.text import printable
from ftpsvc_client.cli import asking
from ftpsvc_client.logins import Logins
from ftpsvc_client.profiles import Target

if TYPE_CHECKING:
    from ftpsvc.credentials import Credentials
    from ftpsvc_client.client import Client
    from ftpsvc_client.retries import Told
    from ftpsvc_client.trust import Trust

USER_VARIABLE = "FTPSVC_USER"
PASSWORD_VARIABLE = "FTPSVC_PASSWORD"  # noqa: S105 - the variable's name
TOKEN_VARIABLE = "FTPSVC_TOKEN"  # noqa: S105
FINGERPRINT_VARIABLE = "FTPSVC_FINGERPRINT"


def setting(variable: str) -> str | None:
    """Returns what an environment variable says; an empty one says nothing."""
    return os.environ.get(variable) or None


def user_of(target: Target) -> str | None:
    """Returns who a command is to be on a server: FTPSVC_USER, the profile's user, who logged in last; None: a guest.

    Raises:
        ConfigError: What is saved is damaged.
    """
    return setting(USER_VARIABLE) or target.user or Logins().user(target.server)


def credentials_for(target: Target) -> Credentials | None:
    """Returns what a command logs in with; None for a guest.

    Raises:
        ConfigError: The environment makes no sense, or what is saved is damaged.
        AuthenticationFailed: The environment names a user of whom nothing is saved.
    """
    from ftpsvc.credentials import Credentials

    user = user_of(target)
    token, password = setting(TOKEN_VARIABLE), setting(PASSWORD_VARIABLE)
    if token or password:
        variable = TOKEN_VARIABLE if token else PASSWORD_VARIABLE
        if user is None:
            raise ConfigError(
                f"{variable} is set, and nothing says whose it is", hint=f"{USER_VARIABLE}=NAME"
            )
        if not token:
            return Credentials.password(user, password or "")
        return token_of(user, token)
    if user is None:
        return None
    found = Logins().get(target.server, user)
    if found is None and setting(USER_VARIABLE):
        error = AuthenticationFailed(
            f"no log-in of {printable(user)} is saved for {printable(target.server)}"
        )
        error.hint = login_command(target.server, user)
        raise error
    return found


def token_of(user: str, token: str) -> Credentials:
    """Returns the credentials of FTPSVC_TOKEN.

    Raises:
        ConfigError: It holds none.
    """
    from ftpsvc.credentials import Credentials

    try:
        return Credentials.token(user, token)
    except ConfigError:
        raise ConfigError(f"{TOKEN_VARIABLE} holds no device token") from None


def login_command(server: str, user: str | None = None, more: str = "") -> str:
    """Returns the command that logs in, as it is shown in a hint."""
    import shlex

    named = f" --user {printable(shlex.quote(user))}" if user else ""
    return f"`ftpsvc login {printable(server)}{named}{more}`"


def dial(
    target: Target,
    *,
    timeout: float,
    algorithm: str | None = None,
    directory: str | None = None,
    ask: bool = False,
    allow_plain: bool = False,
    retries: int = 0,
    told: Told | None = None,
) -> Client:
    """Connects and logs in.

    Args:
        target: Where.
        timeout: Seconds without progress after which anything is given up.
        algorithm: Digest algorithm, or None for the server's choice.
        directory: Where to start; None is the root.
        ask: Whether a person may be asked about a server that was never seen.
        allow_plain: Whether a password may cross a plain connection to another machine.
        retries: How often in a row something is tried again after an error that passes.
        told: Is told before each such try.

    Raises:
        FtpsvcError: The server cannot be reached, is not believed, or refuses; with a hint for the command line.
    """
    from ftpsvc_client.client import connect

    credentials = credentials_for(target)
    address = Address.parse(target.server)
    given = setting(FINGERPRINT_VARIABLE) if address.is_tls else None

    def attempt(trust: Trust | None) -> Client:
        return connect(
            address, credentials=credentials, trust=trust, timeout=timeout, algorithm=algorithm, directory=directory,
            allow_plain=allow_plain, retries=retries, told=told,
        )  # fmt: skip

    try:
        if given is not None:
            from ftpsvc_client.trust import Fixed

            return attempt(Fixed(given))
        try:
            return attempt(None)
        except UnknownCertificate as unknown:
            if not ask or not asking.somebody_there():
                raise
            from ftpsvc_client.trust import Pins

            # The question is asked without a connection: a server does not wait as long as a person reads.
            asking.fingerprint_is_right(unknown)
            return attempt(Pins(expected=unknown.fingerprint))
    except UntrustedServer as error:
        raise explained(error) from None
    except AuthenticationFailed as error:
        raise _refused(error, target, credentials) from None


def explained(error: UntrustedServer) -> UntrustedServer:
    """Returns the error with a hint that says what to type."""
    if isinstance(error, CertificateChanged):
        error.hint = (
            "nothing was sent to it; if the operator says that it has a new one, and which: "
            + login_command(error.address, more=" --accept-fingerprint FINGERPRINT")
        )
    elif isinstance(error, UnknownCertificate):
        error.hint = (
            "compare it with the slip of your code or ask the operator, then "
            + login_command(error.address, more=" --fingerprint FINGERPRINT")
            + f"; a guest sets {FINGERPRINT_VARIABLE}"
        )
    return error


def _refused(
    error: AuthenticationFailed, target: Target, credentials: Credentials | None
) -> AuthenticationFailed:
    """Returns what a refused log-in is told as."""
    if credentials is None:
        return error
    user = credentials.name.user
    if setting(TOKEN_VARIABLE) or setting(PASSWORD_VARIABLE):
        variable = TOKEN_VARIABLE if credentials.by_token else PASSWORD_VARIABLE
        told = AuthenticationFailed(f"{printable(user)} with {variable}: {error}")
    else:
        told = AuthenticationFailed(f"{printable(user)} with the token saved on this device: {error}")
        told.hint = f"if it was revoked: {login_command(target.server, user)}"
    return told
