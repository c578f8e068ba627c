"""`ftpsvc login` and what follows from it, as a person and as a script, against a real daemon over real TLS."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from ftpsvc.accounts.store import Accounts
from ftpsvc.addresses import Address
from ftpsvc.certificates import fingerprint, read_fingerprint, shown
from ftpsvc.credentials import Credentials, Kind
from ftpsvc.exceptions import PermissionDenied
from ftpsvc.scram import derive
from ftpsvc_client import connect, link
from ftpsvc_client.cli import exits
from ftpsvc_client.cli.commands import load
from ftpsvc_client.logins import Logins
from ftpsvc_client.trust import Pins
from tests.helpers import certs
from tests.helpers.cli import Cli, Done, until
from tests.helpers.counts import full
from tests.helpers.daemon import ServerProcess, server
from tests.helpers.middle import middle
from tests.helpers.terminal import Terminal

ANY_TLS_PORT = "ftpsvc://127.0.0.1:0"
PASSWORD = "correct horse battery"
OTHER = "another long password"
WRONG = ":".join(["AB"] * 32)
VERIFIER = derive(PASSWORD, Kind.PASSWORD)
"""Made once: 600,000 iterations."""

_numbers = itertools.count(1)


class Person(NamedTuple):
    """A user of the daemon."""

    name: str
    code: str


class Place:
    """A daemon, and its certificate's fingerprint."""

    def __init__(self, running: ServerProcess) -> None:
        self.running = running
        self.url = running.url
        self.root = running.root
        self.fingerprint = running.wait_for("certificate SHA256").split("SHA256 ")[1]

    def person(self) -> Person:
        """A new user with a password and a code."""
        name = f"user{next(_numbers)}"
        with Accounts(self.root) as accounts:
            user = accounts.add(name)
            accounts.set_password(user, VERIFIER)
            return Person(name, accounts.issue_code(name))

    def code(self, person: Person) -> str:
        """A new code of a user, in place of the one before."""
        with Accounts(self.root) as accounts:
            return accounts.issue_code(person.name)

    def devices(self, name: str) -> list[str]:
        with Accounts(self.root) as accounts:
            return [token.label for token in accounts.secrets(accounts.user(name)).tokens]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with server(
        tmp_path_factory.mktemp("root"), "--durability", "relaxed", listen=ANY_TLS_PORT, guest="read"
    ) as running:
        yield Place(running)


@pytest.fixture
def person(here: Place) -> Person:
    return here.person()


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path, None)


def state(home: Path) -> Path:
    return home / ".local" / "state" / "ftpsvc"


def tokens(home: Path) -> list[Path]:
    return sorted((state(home) / "tokens").glob("*"))


def log_in(cli: Cli, here: Place, person: Person, *more: str, secret: str | None = None) -> Done:
    """Logs a device in; without a secret by a new code: that is 4,096 iterations, a password is 600,000."""
    if secret is None:
        secret = here.code(person)
    done = cli(
        "login", here.url, "--user", person.name, "--password-stdin", "--fingerprint", here.fingerprint, *more,
        stdin=secret.encode() + b"\n",
    )  # fmt: skip
    assert done.code == 0, done.err
    return done


def user(cli: Cli, **env: str) -> str | None:
    done = cli("whoami", "--json", env=env)
    assert done.code == 0, done.err
    found: str | None = done.records[0]["user"]
    return found


def no_pins(home: Path) -> bool:
    return not (state(home) / "servers").exists()


# ---------------------------------------------------------------- a person at a terminal


def test_first_log_in_by_code_asks_for_the_fingerprint_beside_it(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    with Terminal([cli.program, "login", here.url], env=cli.environment(), cwd=cli.here) as terminal:
        terminal.expect("User:")
        terminal.send(f"{person.name}\r")
        terminal.expect(f"Password or code of {person.name}:")
        terminal.send(f"{person.code.lower()}\r")
        terminal.expect("Fingerprint printed beside the code .*:")
        terminal.send("nonsense\r")
        terminal.expect("that is no fingerprint.*Fingerprint printed")
        terminal.send(f"{here.fingerprint}\r")
        terminal.expect(rf"logged in as {person.name} \(student\)")
        assert terminal.code() == 0
        assert person.code.encode() not in terminal.raw.upper()
    assert user(cli) == person.name
    assert here.devices(person.name) == [socket.gethostname()]


def test_c38_a_wrong_fingerprint_beside_a_code_ends_it_before_anything_is_sent(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    with middle(here.url) as between:
        command = [cli.program, "login", between.url, "--user", person.name]
        with Terminal(command, env=cli.environment(), cwd=cli.here) as terminal:
            terminal.expect("Password or code of")
            terminal.send(f"{person.code}\r")
            terminal.expect("Fingerprint printed beside the code")
            terminal.send(f"{here.fingerprint}\r")
            terminal.expect("shows another certificate")
            terminal.expect("the code was not sent")
            assert terminal.code() == 15
        assert between.connections == 1
        assert between.from_client == []
    assert tokens(own_environment) == []
    assert no_pins(own_environment)
    log_in(cli, here, person, secret=person.code)  # it is not used up


def test_first_log_in_by_password_shows_the_fingerprint_and_asks(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    command = [cli.program, "login", here.url, "--user", person.name]
    for answer in ("no", "yes"):
        with Terminal(
            command, env=cli.environment({"COLUMNS": "200"}), cwd=cli.here, columns=200
        ) as terminal:
            terminal.expect("Password or code of")
            terminal.send(f"{PASSWORD}\r")
            terminal.expect(here.fingerprint)
            terminal.expect(r"yes/no\) \[no\]:")
            terminal.send(f"{answer}\r")
            assert terminal.code() == (0 if answer == "yes" else 15)
            assert PASSWORD.encode() not in terminal.raw
        assert (not no_pins(own_environment)) == (answer == "yes")
    assert user(cli) == person.name
    # Known by now: nothing is asked again, and the last user is offered.
    with Terminal([cli.program, "login"], env=cli.environment(), cwd=cli.here) as terminal:
        terminal.expect(rf"User \[{person.name}\]:")
        terminal.send("\r")
        terminal.expect("Password or code of")
        terminal.send(f"{PASSWORD}\r")
        terminal.expect(r"logged in as")
        assert terminal.code() == 0
    assert len(here.devices(person.name)) == 1  # the token of before is taken back


def test_a_new_password_is_asked_for_twice(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    log_in(cli, here, person)
    with Terminal([cli.program, "passwd"], env=cli.environment(), cwd=cli.here) as terminal:
        terminal.expect("New password:")
        terminal.send("short\r")
        terminal.expect("New password:")
        terminal.send(f"{OTHER}\r")
        terminal.expect("The same again:")
        terminal.send(f"{OTHER}x\r")
        terminal.expect("not the same.*New password:")
        terminal.send(f"{OTHER}\r")
        terminal.expect("The same again:")
        terminal.send(f"{OTHER}\r")
        terminal.expect(f"the password of {person.name} is set")
        assert terminal.code() == 0
        assert OTHER.encode() not in terminal.raw
    assert user(cli, FTPSVC_PASSWORD=OTHER) == person.name
    assert cli("whoami", env={"FTPSVC_PASSWORD": PASSWORD}).code == 7


def test_ctrl_c_and_ctrl_d_at_a_question_end_it(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    Pins().pin(Address.parse(here.url), here.fingerprint)
    for key in ("\x03", "\x04"):
        with Terminal([cli.program, "login", here.url], env=cli.environment(), cwd=cli.here) as terminal:
            terminal.expect("User:")
            terminal.send(f"{person.name}\r")
            terminal.expect("Password or code")
            terminal.send(key)
            terminal.expect("interrupted")
            assert terminal.code() == 130
    assert tokens(own_environment) == []


def test_a_guest_at_a_terminal_is_asked_about_an_unknown_server_once(
    cli: Cli, here: Place, own_environment: Path
) -> None:
    command = [cli.program, "-s", here.url, "whoami"]
    with Terminal(command, env=cli.environment({"COLUMNS": "200"}), cwd=cli.here, columns=200) as terminal:
        terminal.expect(here.fingerprint)
        terminal.expect(r"\[no\]:")
        terminal.send("y\r")
        terminal.expect("a guest, who may read")
        assert terminal.code() == 0
    assert cli.ok("-s", here.url, "whoami").out == "a guest, who may read\n"


# ---------------------------------------------------------------- scripts


def test_log_in_from_stdin_saves_a_token_for_its_owner_only(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    done = log_in(cli, here, person, "--label", "laptop", "--profile", "lab", secret=PASSWORD)
    assert (
        done.err
        == f"ftpsvc: logged in as {person.name} (student) at {here.url}, saved as the default profile lab\n"
    )
    (path,) = tokens(own_environment)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert here.devices(person.name) == ["laptop"]
    assert cli.ok("profile", "list").out == f"* lab  {here.url}  {person.name}\n"
    said = cli.ok("whoami").out
    assert said.startswith(f"{person.name} (student), by token ")
    (record,) = cli.ok("whoami", "--json").records
    assert record == {
        "server": here.url, "user": person.name, "role": "student", "group": None, "via": "token",
        "token": said.split()[-1], "may": "write",
    }  # fmt: skip


def test_every_command_and_the_shell_are_that_user(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    log_in(cli, here, person)
    (cli.here / "f").write_bytes(b"1")
    (cli.here / "mine.txt").write_bytes(b"2")
    assert cli("put", "-q", "f", "mine.txt").code == 0
    assert "f" in cli.ok("ls").lines
    done = cli.ok("shell", stdin=b"whoami\nls\n")
    assert done.lines[0].startswith(person.name)
    assert "f" in done.lines
    completed = cli(env={"_FTPSVC_COMPLETE": "fish_complete", "COMP_WORDS": "ftpsvc get ", "COMP_CWORD": ""})
    assert "=f" in completed.lines
    with Terminal([cli.program, "shell"], env=cli.environment(), cwd=cli.here) as terminal:
        terminal.expect("/>")
        terminal.send("get mi\t")  # on a connection of its own, which logs in as well
        terminal.shows(r"get mine\.txt$")
        terminal.send("\x03")
        terminal.expect("/>")
        terminal.send("login\r")
        terminal.expect("there is no command 'login'")
        terminal.leave()
        assert terminal.code() == 0


def test_without_a_terminal_an_unknown_server_is_refused(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    for arguments in (("login", here.url, "--user", person.name, "--password-stdin"), ("-s", here.url, "ls")):
        done = cli(*arguments, stdin=PASSWORD.encode())
        assert done.code == 15
        assert here.fingerprint in done.err
        assert f"`ftpsvc login {here.url} --fingerprint FINGERPRINT`" in done.err
    done = cli("-s", here.url, "login", "--user", "x", "--password-stdin", "--fingerprint", WRONG, stdin=b"y")
    assert done.code == 15
    assert here.fingerprint in done.err
    assert WRONG in done.err
    assert no_pins(own_environment)


def test_a_code_is_known_by_its_form_or_by_what_is_said(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    plain = person.code.replace("-", "")
    arguments = (
        "login",
        here.url,
        "--user",
        person.name,
        "--password-stdin",
        "--fingerprint",
        here.fingerprint,
    )
    assert cli(*arguments, stdin=plain.encode()).code == 7  # sixteen letters may be a password
    assert cli(*arguments, "--no-code", stdin=person.code.encode()).code == 7
    done = cli(*arguments, stdin=b"AAAA-BBBB-CCCC-DDDD")
    assert done.code == 7
    assert "--no-code if it is a password" in done.err
    done = cli(*arguments, "--code", stdin=b"O0O0")
    assert (done.code, "that is no enrolment code" in done.err) == (2, True)
    assert cli(*arguments, "--code", stdin=plain.encode()).code == 0
    assert cli(*arguments, stdin=person.code.encode()).code == 7  # once


def test_a_first_password_can_be_set_with_the_code(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    done = log_in(cli, here, person, "--set-password", secret=f"{person.code}\n{OTHER}")
    assert "the new password is set" in done.err
    log_in(cli, here, person, secret=OTHER)


def test_a_new_password_that_cannot_be_one_costs_no_code(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    done = cli(
        "login", here.url, "--user", person.name, "--password-stdin", "--set-password", "--fingerprint",
        here.fingerprint, stdin=f"{person.code}\nshort\n".encode(),
    )  # fmt: skip
    assert done.code == 2
    log_in(cli, here, person, secret=person.code)


def test_the_environment_goes_before_what_is_saved(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    log_in(cli, here, person)
    second = here.person()
    with connect(
        here.url, credentials=Credentials.code(second.name, second.code), fingerprint=here.fingerprint
    ) as client:
        token = client.issue_token("script")
    assert user(cli, FTPSVC_USER=second.name, FTPSVC_PASSWORD=PASSWORD) == second.name
    assert user(cli, FTPSVC_USER=second.name, FTPSVC_TOKEN=token, FTPSVC_PASSWORD="nonsense") == second.name
    assert user(cli, FTPSVC_PASSWORD=PASSWORD) == person.name  # the profile's user
    assert user(cli, FTPSVC_USER="", FTPSVC_PASSWORD="", FTPSVC_TOKEN="") == person.name
    done = cli("whoami", env={"FTPSVC_USER": second.name})
    assert done.code == 7
    assert f"no log-in of {second.name} is saved" in done.err
    done = cli("whoami", env={"FTPSVC_TOKEN": "nonsense"})
    assert (done.code, done.err) == (2, "ftpsvc: FTPSVC_TOKEN holds no device token\n")
    done = cli("whoami", env={"FTPSVC_USER": second.name, "FTPSVC_PASSWORD": OTHER})
    assert done.code == 7
    assert f"{second.name} with FTPSVC_PASSWORD" in done.err
    done = cli("login", here.url, env={"FTPSVC_USER": second.name, "FTPSVC_TOKEN": token})
    assert done.code == 0
    assert user(cli) == second.name
    assert here.devices(second.name) == ["script"]  # the one that was given is saved, and no other made


def test_a_script_needs_no_file_at_all(cli: Cli, here: Place, person: Person, own_environment: Path) -> None:
    env = {"FTPSVC_SERVER": here.url, "FTPSVC_PASSWORD": PASSWORD, "FTPSVC_FINGERPRINT": here.fingerprint}
    done = cli("whoami", env=env)
    assert done.code == 2
    assert "nothing says whose it is" in done.err
    assert user(cli, FTPSVC_USER=person.name, **env) == person.name
    assert cli("whoami", env={**env, "FTPSVC_USER": person.name, "FTPSVC_FINGERPRINT": WRONG}).code == 15
    assert not state(own_environment).exists()


@pytest.mark.parametrize("stdin", [b"", b"\n", b"\xff\xfe\n"])
def test_stdin_without_a_secret_is_usage(cli: Cli, here: Place, person: Person, stdin: bytes) -> None:
    done = cli(
        "login",
        here.url,
        "-u",
        person.name,
        "--password-stdin",
        "--fingerprint",
        here.fingerprint,
        stdin=stdin,
    )
    assert done.code == 2
    assert done.err.startswith("ftpsvc: ")


def test_nobody_to_ask_is_usage(cli: Cli, here: Place) -> None:
    known = ("--fingerprint", here.fingerprint)
    assert "nothing says who" in cli("login", here.url, *known).err
    done = cli("login", here.url, "--user", "alice", *known)
    assert (done.code, "nobody to ask" in done.err) == (2, True)


def test_a_plain_connection_gets_no_log_in_saved(cli: Cli) -> None:
    done = cli("login", "ftpsvc+tcp://127.0.0.1:9", "--user", "x", "--password-stdin", stdin=b"y")
    assert done.code == 2
    assert "no device token is given out over a plain connection" in done.err


# ---------------------------------------------------------------- tokens


def test_a_damaged_token_file_is_said_and_mended_by_a_log_in(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    log_in(cli, here, person)
    (path,) = tokens(own_environment)
    damaged = [b"", b"{", b"[]", b"{}", b'{"token": 5}', b'{"token": "ABC"}', b"\xff" * 99]
    for content in damaged:
        path.write_bytes(content)
        done = cli("ls")
        assert done.code == 2
        assert f"{path} is damaged" in done.err
        assert f"hint: `ftpsvc login {here.url} --user {person.name}` writes it anew" in done.err
    log_in(cli, here, person)
    assert user(cli) == person.name
    for content in damaged if full() else damaged[1:2]:
        path.write_bytes(content)
        assert cli("logout").code == 0
        assert tokens(own_environment) == []
        log_in(cli, here, person)


def test_a_revoked_token_says_how_to_get_another(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    log_in(cli, here, person)
    with Accounts(here.root) as accounts:
        assert accounts.revoke_token(accounts.user(person.name), None) == 1
    for arguments in (("ls",), ("rm", "a", "b")):
        done = cli(*arguments)
        assert done.code == 7
        first, hint = done.err.splitlines()
        assert first.startswith(f"ftpsvc: {person.name} with the token saved on this device: ")
        assert hint == f"hint: if it was revoked: `ftpsvc login {here.url} --user {person.name}`"
    log_in(cli, here, person)
    assert user(cli) == person.name


def test_log_out_revokes_and_forgets_and_keeps_the_pin(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    log_in(cli, here, person)
    assert cli("logout").err == f"ftpsvc: {person.name} is logged out at {here.url}\n"
    assert here.devices(person.name) == []
    assert tokens(own_environment) == []
    assert Pins().get(Address.parse(here.url)) == read_fingerprint(here.fingerprint)
    assert user(cli) is None  # a guest
    done = cli("passwd", "--password-stdin", stdin=OTHER.encode())
    assert done.code == 7
    assert f"hint: `ftpsvc login {here.url} --user {person.name}`" in done.err
    assert "is not logged in" in cli("logout").err


def test_log_out_works_without_the_server_and_says_so(
    cli: Cli, own_environment: Path, tmp_path: Path
) -> None:
    with server(tmp_path / "root", listen=ANY_TLS_PORT, guest="none") as running:
        place = Place(running)
        person = place.person()
        log_in(cli, place, person)
        (token,) = [path.read_text() for path in tokens(own_environment)]
    done = cli("logout")
    assert done.code == 0
    assert "may be good there still" in done.err
    assert token.split('"token": "')[1][:8] in done.err  # its public part, for the operator
    assert tokens(own_environment) == []


def test_two_users_of_one_server(cli: Cli, here: Place, own_environment: Path) -> None:
    first, second = here.person(), here.person()
    log_in(cli, here, first)
    log_in(cli, here, second)
    (cli.here / "f").write_bytes(b"1")
    assert cli("put", "-q", "f").code == 0
    lines = cli.ok("profile", "list").lines
    assert sorted(lines) == sorted(
        [f"  127.0.0.1  {here.url}  {first.name}", f"* {second.name}@127.0.0.1  {here.url}  {second.name}"]
    )
    assert user(cli) == second.name
    assert user(cli, FTPSVC_SERVER="127.0.0.1") == first.name
    assert user(cli, FTPSVC_SERVER=here.url) == second.name  # who logged in last
    assert user(cli, FTPSVC_USER=first.name) == first.name
    assert "f" not in cli.ok("-s", "127.0.0.1", "ls").lines
    assert cli("logout", "-u", first.name, here.url).code == 0
    assert user(cli) == second.name
    code = here.code(first)
    done = cli(
        "login", here.url, "-u", first.name, "--password-stdin", "--profile", f"{second.name}@127.0.0.1",
        stdin=code.encode(),
    )  # fmt: skip
    assert (done.code, "is for another server or user" in done.err) == (2, True)
    log_in(cli, here, first, secret=code)  # which was not used up by that


def test_two_servers_with_a_profile_each(
    cli: Cli, here: Place, person: Person, own_environment: Path, tmp_path: Path
) -> None:
    log_in(cli, here, person, "--profile", "one")
    with server(tmp_path / "root", listen=ANY_TLS_PORT, guest="none") as running:
        other = Place(running)
        with Accounts(other.root) as accounts:
            accounts.add(person.name)
            code = accounts.issue_code(person.name)
        log_in(cli, other, person, "--profile", "two", secret=code)
        for profile, url in (("one", here.url), ("two", other.url)):
            (record,) = cli.ok("-s", profile, "whoami", "--json").records
            assert (record["user"], record["server"]) == (person.name, url)
        assert cli("logout", "two").code == 0
        assert cli("ls", env={"FTPSVC_SERVER": "two"}).code == 7
        assert user(cli, FTPSVC_SERVER="one") == person.name


# ---------------------------------------------------------------- certificates


def test_c38_a_changed_certificate(cli: Cli, own_environment: Path, tmp_path: Path) -> None:
    pairs = [certs.make(), certs.make()]
    old, new = (shown(fingerprint(pair.der)) for pair in pairs)
    certificate, key = pairs[0].write(tmp_path)
    settings = {"tls.certificate": certificate, "tls.key": key}

    def put(pair: certs.Pair, running: ServerProcess) -> None:
        pair.write(tmp_path)
        running.signal(signal.SIGHUP)

        def is_shown() -> bool:
            with certs.client_context().wrap_socket(socket.create_connection(running.where)) as tls:
                return tls.getpeercert(binary_form=True) == pair.der

        until(is_shown)

    with server(tmp_path / "root", listen=ANY_TLS_PORT, guest="read", settings=settings) as running:
        place = Place(running)
        person = place.person()
        log_in(cli, place, person)
        put(pairs[1], running)
        assert user(cli) == person.name  # the token proved that it is the same server
        assert Pins().get(Address.parse(place.url)) == read_fingerprint(new)
        assert cli("logout").code == 0
        put(pairs[0], running)
        arguments = ("login", "-u", person.name, "--password-stdin")
        for done in (cli("ls"), cli(*arguments, stdin=PASSWORD.encode())):
            assert done.code == 15
            assert "has changed" in done.err
            assert old in done.err
            assert new in done.err
            assert f"`ftpsvc login {place.url} --accept-fingerprint FINGERPRINT`" in done.err
        assert cli(*arguments, "--accept-fingerprint", new, stdin=PASSWORD.encode()).code == 15
        assert cli(*arguments, "--accept-fingerprint", old, stdin=PASSWORD.encode()).code == 0
        assert user(cli) == person.name


def test_c38_a_fake_server_under_a_known_name_is_refused_a_token_too(
    cli: Cli, here: Place, person: Person, own_environment: Path
) -> None:
    log_in(cli, here, person)
    saved = Logins().get(here.url, person.name)
    assert saved is not None
    (path,) = tokens(own_environment)
    with middle(here.url) as between:
        Logins().save(between.url, person.name, path.read_text().split('"token": "')[1].split('"')[0])
        Pins().pin(Address.parse(between.url), here.fingerprint)
        done = cli("-s", between.url, "ls")
        assert done.code == 15
        assert "has changed" in done.err
        assert [header["op"] for header in between.from_client] == ["auth", "auth"]
    assert Pins().get(Address.parse(between.url)) == read_fingerprint(here.fingerprint)


# ---------------------------------------------------------------- secrets


def loudly(cli: Cli, code: int, *arguments: str, stdin: str = "", **env: str) -> str:
    """Runs a command that shows all it can, tracebacks too, and returns what it said."""
    done = subprocess.run(
        [cli.program, "-vv", *arguments], input=stdin.encode(), capture_output=True, cwd=cli.here, timeout=60,
        env=cli.environment(env), check=False,
    )  # fmt: skip
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == code, said
    assert "a fault in ftpsvc" not in said
    return said


def test_c34_secrets_are_in_the_token_file_and_nowhere_else(
    cli: Cli, own_environment: Path, tmp_path: Path
) -> None:
    with server(tmp_path / "root", "--log-level", "debug", listen=ANY_TLS_PORT, guest="none") as running:
        place = Place(running)
        person = place.person()
        named = (
            "login",
            place.url,
            "-u",
            person.name,
            "--password-stdin",
            "--fingerprint",
            place.fingerprint,
        )
        said = [
            loudly(cli, 0, *named, "--set-password", stdin=f"{person.code}\n{OTHER}\n"),
            loudly(cli, 7, *named, stdin=person.code),
            loudly(cli, 7, *named, stdin=PASSWORD),
            loudly(cli, 7, "whoami", FTPSVC_PASSWORD=PASSWORD),
            loudly(cli, 2, "whoami", FTPSVC_PASSWORD="\udcff" + PASSWORD),
            loudly(cli, 2, "whoami", FTPSVC_PASSWORD=PASSWORD + "\x07"),
            loudly(cli, 0, "ls"),
        ]
        (path,) = tokens(own_environment)
        token = path.read_text().split('"token": "')[1].split('"')[0]
        with Accounts(place.root) as accounts:
            accounts.revoke_token(accounts.user(person.name), None)
        said += [
            loudly(cli, 7, "ls"),
            loudly(cli, 7, "ls", FTPSVC_TOKEN=token),
            loudly(cli, 2, "ls", FTPSVC_TOKEN=token + "A"),
        ]
        said += running.lines
    secrets = [PASSWORD, OTHER, person.code, token[9:], token[9:].replace("-", "")]
    kept = [
        other.read_bytes().decode(errors="replace")
        for folder in (own_environment, place.root)
        for other in folder.rglob("*")
        if other.is_file() and other != path
    ]
    assert len(kept) > 4
    for secret in secrets:
        assert not [text for text in said + kept if secret in text]


def test_no_command_takes_a_secret_as_an_argument() -> None:
    for name in ("login", "logout", "whoami", "passwd"):
        command = load(name)
        assert command is not None
        for param in command.params:
            if set(param.opts) & {"--code", "--password-stdin", "--set-password", "--allow-plain"}:
                assert isinstance(param, click.Option)
                assert param.is_flag
            else:
                assert not [
                    opt for opt in param.opts if any(word in opt for word in ("passw", "token", "secret"))
                ]


# A place for secrets as the package `keyring` has them: the package is no dependency, and there is no desktop here.
_KEYRING = """
import json, os
FILE = os.environ["KEYRING_FILE"]
def _all():
    return json.load(open(FILE)) if os.path.exists(FILE) else {}
def _write(all):
    with open(FILE, "w") as file:
        json.dump(all, file)
def set_password(service, name, secret):
    if os.environ.get("KEYRING_BROKEN"):
        raise RuntimeError("no such thing here")
    _write({**_all(), name: secret})
def get_password(service, name):
    if os.environ.get("KEYRING_BROKEN"):
        raise RuntimeError("locked")
    return _all().get(name)
def delete_password(service, name):
    all = _all()
    del all[name]
    _write(all)
"""


def test_where_there_is_a_keyring_it_holds_the_token(
    cli: Cli,
    here: Place,
    person: Person,
    own_environment: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "keyring.py").write_text(_KEYRING)
    ring = tmp_path / "ring"
    monkeypatch.setenv("PYTHONPATH", str(modules))
    monkeypatch.setenv("KEYRING_FILE", str(ring))
    log_in(cli, here, person)
    (path,) = tokens(own_environment)
    assert '"token"' not in path.read_text()
    assert person.name in ring.read_text()
    assert user(cli) == person.name
    done = cli("ls", env={"KEYRING_BROKEN": "1"})
    assert (done.code, "the keyring does not open" in done.err) == (2, True)
    assert cli("logout").code == 0
    assert ring.read_text() == "{}"
    assert here.devices(person.name) == []
    for variable in ("KEYRING_BROKEN", "FTPSVC_KEYRING"):  # a file can, then
        monkeypatch.setenv(variable, "no")
        log_in(cli, here, person)
        assert '"token"' in path.read_text()
        assert ring.read_text() == "{}"
        assert user(cli) == person.name
        monkeypatch.delenv(variable)


# ---------------------------------------------------------------- plain connections


@pytest.mark.parametrize(
    ("peer", "others"),
    [
        ("", False), (("127.0.0.1", 1), False), (("127.9.9.9", 1), False), (("::1", 1, 0, 0), False),
        (("::ffff:127.0.0.1", 1, 0, 0), False), (("192.0.2.1", 1), True), (("::ffff:192.0.2.1", 1, 0, 0), True),
        (("fe80::1%lo", 1, 0, 1), True), (("2001:db8::1", 1, 0, 0), True),
    ],
)  # fmt: skip
def test_who_can_read_a_plain_connection(peer: object, others: bool) -> None:
    assert link.others_can_read(peer) is others


def test_a_password_crosses_plain_tcp_on_loopback(cli: Cli, own_environment: Path, tmp_path: Path) -> None:
    with server(tmp_path / "root", guest="none") as running:
        with Accounts(running.root) as accounts:
            accounts.set_password(accounts.add("alice"), VERIFIER)
        env = {"FTPSVC_SERVER": running.url, "FTPSVC_USER": "alice", "FTPSVC_PASSWORD": PASSWORD}
        assert user(cli, **env) == "alice"
        done = cli("passwd", "--password-stdin", stdin=OTHER.encode(), env=env)
        assert (done.code, "use ftpsvc://" in done.err) == (6, True)


def test_a_password_crosses_plain_tcp_to_another_machine_only_when_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # There is no other machine here: the connection is real, and only taken for one that leaves this machine.
    monkeypatch.setattr(link, "others_can_read", lambda peer: True)
    with server(tmp_path / "root", guest="none") as running:
        with Accounts(running.root) as accounts:
            accounts.set_password(accounts.add("alice"), VERIFIER)
        password = Credentials.password("alice", PASSWORD)
        with pytest.raises(PermissionDenied, match="does not cross a plain connection") as caught:
            connect(running.url, credentials=password)
        assert "--allow-plain" in (caught.value.hint or "")
        with connect(running.url, credentials=password, allow_plain=True) as client:
            assert client.whoami().via == "password"


# ---------------------------------------------------------------- cost


def test_a_guest_loads_no_scram_and_no_keyring(cli: Cli, here: Place) -> None:
    program = (
        "import sys; sys.argv = ['ftpsvc', *sys.argv[1:]]\n"
        "from ftpsvc_client.cli.run import run\n"
        "code = run(sys.argv[1:]); print(code, 'scramp' in sys.modules, 'keyring' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "-s", here.url, "whoami"], capture_output=True, text=True, timeout=60,
        env={**os.environ, "FTPSVC_FINGERPRINT": here.fingerprint}, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["a guest, who may read", "0 False False"]


def test_an_untrusted_server_has_an_exit_code_of_its_own() -> None:
    assert [meaning.code for meaning in exits.TABLE if "certificate" in meaning.text] == [15]
