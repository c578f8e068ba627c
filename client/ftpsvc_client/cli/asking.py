"""Questions to a person at the terminal: on stderr, and secrets without an echo."""

from __future__ import annotations

import sys

from ftpsvc.certificates import read_fingerprint, shown
from ftpsvc.exceptions import CertificateMismatch, ConfigError, UnknownCertificate
from ftpsvc.text import printable

_TRIES = 3


def somebody_there() -> bool:
    """Whether there is a terminal with a person who can be asked."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def text(question: str, default: str | None = None) -> str:
    """Asks for a line; an empty one is the default, and where there is none the question is asked again."""
    offered = f" [{printable(default)}]" if default else ""
    while True:
        sys.stderr.write(f"{question}{offered}: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:  # Ctrl-D
            raise KeyboardInterrupt
        answer = line.strip() or default
        if answer:
            return answer


def agreed(question: str) -> bool:
    """Asks for yes or no; an empty line is no."""
    while True:
        answer = text(f"{question} (yes/no)", "no").lower()
        if answer in ("y", "yes", "n", "no"):
            return answer in ("y", "yes")


def secret(question: str) -> str:
    """Asks for a line that is not shown."""
    import getpass

    try:
        return getpass.getpass(f"{question}: ", stream=sys.stderr)
    except EOFError:
        raise KeyboardInterrupt from None


def new_password() -> str:
    """Asks for a new password, twice, until both are the same and long enough.

    Raises:
        ConfigError: It never came to that.
    """
    from ftpsvc.scram import check_new_password

    for _ in range(_TRIES):
        password = secret("New password")
        try:
            check_new_password(password)
        except ConfigError as error:
            sys.stderr.write(f"{error}\n")
            continue
        if secret("The same again") == password:
            return password
        sys.stderr.write("the two are not the same\n")
    raise ConfigError("no new password was set")


def fingerprint_is_right(unknown: UnknownCertificate) -> None:
    """Shows the fingerprint of a server that was never seen, and asks whether it is the right one.

    Raises:
        UnknownCertificate: It is not.
    """
    sys.stderr.write(
        f"{printable(unknown.address)} is not known here. The fingerprint of its certificate is\n"
        f"    SHA256 {shown(unknown.fingerprint)}\n"
        "Compare it with the one that the operator gave out: who stands in between shows another one.\n"
    )
    while True:
        answer = text("Is it the same? (yes/no)", "no").lower()
        if answer in ("y", "yes"):
            return
        if answer in ("n", "no"):
            raise unknown


def fingerprint_of_slip(unknown: UnknownCertificate) -> None:
    """Asks for the fingerprint that is printed beside a code, and compares it; whoever has none is shown the server's.

    Raises:
        CertificateMismatch: It is another one.
        UnknownCertificate: There is none, and the one that was shown is not the right one.
    """
    while True:
        sys.stderr.write("Fingerprint printed beside the code (empty: there is none): ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise KeyboardInterrupt
        if not line.strip():
            return fingerprint_is_right(unknown)
        try:
            expected = read_fingerprint(line)
        except ConfigError as error:
            sys.stderr.write(f"{error}: {error.hint}\n")
            continue
        if expected != unknown.fingerprint:
            raise CertificateMismatch(
                unknown.address, expected, unknown.fingerprint,
                hint="the code was not sent; if the fingerprint was typed right, ask the operator",
            )  # fmt: skip
        return None
