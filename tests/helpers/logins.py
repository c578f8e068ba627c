"""A log-in with both halves in one process, and a clock that stands still."""

from ftpsvc.accounts.model import Identity, User
from ftpsvc.accounts.scram import ServerLogin
from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import Kind, LoginName, new_token
from ftpsvc.exceptions import AuthenticationFailed
from ftpsvc.scram import ClientLogin, derive

PASSWORD = "correct horse battery"


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def log_in(
    accounts: Accounts,
    name: LoginName,
    secret: str,
    binding: bytes | None = None,
    *,
    seen: bytes | None = None,
) -> Identity:
    """Logs in and returns who that is.

    Args:
        accounts: The users.
        name: Who.
        secret: By what.
        binding: Hash of the certificate that the server has; None without TLS.
        seen: Hash of the one that the client was shown, if another.
    """
    client = ClientLogin(name, secret, binding if seen is None else seen)
    server = ServerLogin(accounts, client.mechanism, binding)
    client.finish(server.step(client.answer(server.step(client.first()))))
    assert client.done
    assert server.identity is not None
    return server.identity


def refusal(accounts: Accounts, name: LoginName, secret: str, binding: bytes | None = None) -> str:
    """Returns the text that a log-in is refused with; it is a failed test if it is not."""
    try:
        log_in(accounts, name, secret, binding)
    except AuthenticationFailed as problem:
        return str(problem)
    raise AssertionError(f"{name} got in")


def add_device(accounts: Accounts, user: User, label: str = "laptop") -> tuple[LoginName, str]:
    """Adds a device token and returns what it logs in as, and by what."""
    secret = new_token()
    token = accounts.issue_token(user, label, derive(secret, Kind.TOKEN))
    return LoginName(user.name, Kind.TOKEN, token.id), secret
