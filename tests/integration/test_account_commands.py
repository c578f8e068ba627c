"""`ftpsvc-server user ...` and `token ...`, from the outside."""

import json
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ftpsvc.accounts.console import Place
from ftpsvc.accounts.model import Role
from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import Kind, LoginName
from ftpsvc.server.cli import command
from tests.helpers.logins import add_device, log_in
from tests.helpers.operator import main

CODE = re.compile(r"\b(?:[2-9A-HJ-NP-Z]{4}-){3}[2-9A-HJ-NP-Z]{4}\b")


@pytest.fixture
def root(own_environment: Path) -> Path:
    """The default root, in the working directory of the test."""
    root = Path("server_storage")
    root.mkdir()
    return root


@pytest.fixture
def accounts(root: Path) -> Iterator[Accounts]:
    with Accounts(root) as opened:
        yield opened


def run(*arguments: str, answer: str | None = None, code: int = 0) -> Result:
    """Runs a command and checks its exit code."""
    result = CliRunner().invoke(main, arguments, input=answer, prog_name="ftpsvc-server")
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def test_a_user_from_the_first_to_the_last_day(root: Path) -> None:
    run(
        "user",
        "add",
        "alice",
        "--quota",
        "5GiB",
        "--group",
        "1",
        "--student-id",
        "42",
        "--display-name",
        "Alice A.",
    )
    made = run("user", "code", "alice", "--expires", "2h")
    assert CODE.fullmatch(made.stdout.strip())
    assert "good for one log-in as alice until" in made.stderr
    assert "unused, good until" in run("user", "show", "alice").stdout
    with Accounts(root) as accounts:
        log_in(accounts, LoginName("alice", Kind.CODE), made.stdout.strip().lower())
        device, _ = add_device(accounts, accounts.user("alice"), "laptop")
    assert re.search(r"code: +used 20", run("user", "show", "alice").stdout)
    table = run("token", "list", "alice").stdout.splitlines()
    assert table[0].split() == ["ID", "CREATED", "LAST", "USED", "DEVICE"]
    assert table[1].split()[0] == device.token_id
    run("user", "set", "alice", "--quota", "none", "--role", "teacher", "--group", "")
    shown = json.loads(run("user", "show", "alice", "--json").stdout)
    assert (shown["quota"], shown["role"], shown["group"], shown["student_id"]) == (None, "teacher", "", "42")
    run("user", "disable", "alice")
    assert "disabled" in run("user", "list").stdout
    run("user", "enable", "alice")
    assert "revoked 1 device" in run("token", "revoke", "alice", str(device.token_id).lower()).stderr
    (root / "users" / "alice").mkdir(parents=True)
    assert "home is kept in" in run("user", "remove", "alice", answer="y\n").stderr
    assert run("user", "list").stdout == ""
    assert [path.name[:6] for path in (root / ".ftpsvc" / "removed").iterdir()] == ["alice-"]


def test_add_can_make_the_code_at_once(root: Path) -> None:
    made = run("user", "add", "zhang", "--role", "teacher", "--code")
    assert CODE.fullmatch(made.stdout.strip())
    assert "added teacher zhang" in made.stderr


def test_data_is_on_stdout_and_lines_of_json(root: Path, accounts: Accounts) -> None:
    accounts.add("张三", group="一班", display_name="张 三")
    accounts.add("zhang", role=Role.TEACHER)
    listed = [json.loads(line) for line in run("user", "list", "--json").stdout.splitlines()]
    assert [(user["name"], user["role"]) for user in listed] == [("zhang", "teacher"), ("张三", "student")]
    table = run("user", "list").stdout.splitlines()
    assert table[0].index("ROLE") == 7
    assert table[2].startswith("张三   student")
    assert run("user", "list", "--role", "teacher").stdout.count("\n") == 2
    assert run("user", "list", "--group", "none").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["user", "show", "nobody"], "error: there is no user 'nobody'"),
        (["user", "code", "nobody"], "hint: ftpsvc-server user list"),
        (["user", "add", "a/b"], "error: 'a/b' is not a usable name"),
        (["user", "add", "ALICE"], "could be taken for that of the user 'alice'"),
        (["user", "add", "x", "--quota", "much"], "'much' is no size"),
        (["user", "add", "x", "--quota", "99999999T"], "error: a quota is a number of bytes"),
        (["user", "code", "alice", "--expires", "0d"], "'0d' is no time"),
        (["user", "code", "alice", "--expires", "soon"], "'soon' is no time"),
        (["user", "set", "alice"], "nothing to change"),
        (["user", "disable", "alice", "nobody"], "no user 'nobody'"),
        (["user", "remove", "nobody", "--yes"], "no user 'nobody'"),
        (["user", "import", "missing.csv"], "cannot read missing.csv"),
        (["token", "revoke", "alice"], "name the ids"),
        (["token", "revoke", "alice", "ABC", "--all"], "name the ids"),
        (["token", "revoke", "alice", "ABC"], "alice has no device ABC"),
        (["token", "list", "nobody"], "no user 'nobody'"),
        (["user", "--root", "elsewhere", "list"], "hint: make the folder"),
        (["user", "--database", "nonsense", "list"], "database URL cannot be read"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    accounts: Accounts, arguments: list[str], complaint: str
) -> None:
    accounts.add("alice")
    before = accounts.users()
    result = run(*arguments, code=2)
    assert complaint in result.stderr
    assert result.stdout == ""
    assert accounts.users() == before


def test_removing_asks_first(accounts: Accounts) -> None:
    accounts.add("alice")
    assert "Remove alice" in run("user", "remove", "alice", answer="n\n", code=1).stderr
    assert accounts.user("alice").disabled is False
    assert "there was no home" in run("user", "remove", "alice", "--yes").stderr


def test_where_the_users_are_may_come_from_outside(
    own_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        Path(name).mkdir()
    run("user", "--root", "one", "add", "u1")
    monkeypatch.setenv("FTPSVCD_ROOT", "two")
    run("user", "add", "u2")
    monkeypatch.delenv("FTPSVCD_ROOT")
    result = CliRunner().invoke(main, ["user", "add", "u3"], obj=Place(Path("three")))
    assert result.exit_code == 0
    for name, user in (("one", "u1"), ("two", "u2"), ("three", "u3")):
        with Accounts(Path(name)) as accounts:
            assert [found.name for found in accounts.users()] == [user]


class TestImport:
    """A whole class."""

    ROSTER = "学号,姓名,班级\n2026001,王小明,一班\n2026002,李华,二班\n"

    def test_slips_for_a_class(self, root: Path) -> None:
        Path("roster.csv").write_bytes(self.ROSTER.encode("gbk"))
        result = run(
            "user",
            "import",
            "roster.csv",
            "--server",
            "ftpsvc://h:9021",
            "--fingerprint",
            "AB:CD",
            "--quota",
            "1GiB",
        )
        assert "read roster.csv as GBK" in result.stderr
        assert "2 accounts added, 0 updated, 0 as before, 0 lines skipped" in result.stderr
        assert result.stdout == ""
        page = Path("codes.html").read_text("utf-8")
        assert stat.S_IMODE(Path("codes.html").stat().st_mode) == 0o600
        assert len(set(CODE.findall(page))) == 2
        assert page.count("AB:<wbr>CD") == 2
        with Accounts(root) as accounts:
            assert accounts.user("2026001").quota == 1 << 30
            log_in(accounts, LoginName("2026001", Kind.CODE), CODE.findall(page)[0])

    def test_an_old_list_of_codes_is_not_overwritten(self, root: Path) -> None:
        Path("roster.csv").write_text(self.ROSTER, "utf-8")
        Path("codes.html").write_text("the only copy")
        assert "may hold codes that are still good" in run("user", "import", "roster.csv", code=2).stderr
        assert Path("codes.html").read_text() == "the only copy"
        run("user", "import", "roster.csv", "--codes", "codes.txt")
        assert len(CODE.findall(Path("codes.txt").read_text("utf-8"))) == 2
        # Nobody needs a new one, so there is no file.
        run("user", "import", "roster.csv", "--codes", "more.txt")
        assert not Path("more.txt").exists()
        assert (
            len(CODE.findall(run("user", "import", "roster.csv", "--codes", "-", "--new-codes").stdout)) == 2
        )

    def test_faulty_lines(self, root: Path) -> None:
        Path("roster.csv").write_text(self.ROSTER + ",x,y\na/b,x,y\n", "utf-8")
        result = run("user", "import", "roster.csv", code=2)
        assert [line[:7] for line in result.stderr.splitlines()[:2]] == ["line 4:", "line 5:"]
        assert "nothing was changed" in result.stderr
        assert run("user", "list").stdout == ""
        assert not Path("codes.html").exists()
        assert "2 accounts added" in run("user", "import", "roster.csv", "--skip-faulty", code=20).stderr
        assert sorted(path.name for path in Path().iterdir()) == [
            "codes.html",
            "roster.csv",
            "server_storage",
        ]

    def test_a_list_that_cannot_be_written_undoes_the_import(self, root: Path) -> None:
        Path("roster.csv").write_text(self.ROSTER, "utf-8")
        result = run("user", "import", "roster.csv", "--codes", "no/such/folder/codes.txt", code=2)
        assert "cannot write" in result.stderr
        assert run("user", "list").stdout == ""


# ---------------------------------------------------------------- the whole command, before the server ever ran


def whole(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(command, arguments, prog_name="ftpsvc-server")
    assert result.exit_code == code, result.output
    return result


def test_a_class_can_be_imported_before_the_server_ever_ran(own_environment: Path) -> None:
    """The slips have what the server has: its address, and its certificate's fingerprint."""
    Path("roster.csv").write_text("2026001,A,1\n")
    done = whole(
        "--listen", "ftpsvc://files.example.org", "user", "import", "roster.csv", "--codes", "slips.txt"
    )
    assert "made the root server_storage" in done.stderr
    assert "they send students to ftpsvc://files.example.org:9021" in done.stderr
    slips = Path("slips.txt").read_text()
    assert "ftpsvc login ftpsvc://files.example.org:9021 --user 2026001" in slips
    assert f"SHA256 {whole('fingerprint').stdout.strip()}" in slips
    assert stat.S_IMODE((Path("server_storage") / ".ftpsvc").stat().st_mode) == 0o700


def test_slips_name_this_machine_where_the_server_listens_on_every_address(own_environment: Path) -> None:
    Path("roster.csv").write_text("2026001,A,1\n")
    done = whole("user", "import", "roster.csv", "--codes", "-")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # sends nothing
            own = asking.getsockname()[0]
        except OSError:
            own = "127.0.0.1"
    if own.startswith("127."):  # no network: nothing is made up
        assert "ftpsvc login ftpsvc://HOST --user" in done.stdout
    else:
        assert f"ftpsvc login ftpsvc://{own}:9021 --user" in done.stdout


def test_what_is_given_stands_on_the_slips_and_plain_servers_have_no_fingerprint(
    own_environment: Path,
) -> None:
    Path("roster.csv").write_text("2026001,A,1\n")
    given = ("--server", "ftpsvc://b.example", "--fingerprint", "SHA256 AB:CD")
    done = whole("--listen", "ftpsvc://a.example", "user", "import", "roster.csv", "--codes", "-", *given)
    assert "ftpsvc://b.example" in done.stdout
    assert "SHA256 AB:CD" in done.stdout
    again = ("user", "import", "roster.csv", "--codes", "-", "--new-codes")
    plain = whole("--listen", "ftpsvc+tcp://127.0.0.1:9021", *again)
    assert "Fingerprint" not in plain.stdout
    assert "hint: with --server and --fingerprint" in plain.stderr


def test_the_first_user_makes_the_root(own_environment: Path) -> None:
    assert CODE.fullmatch(whole("user", "add", "zhang", "--role", "teacher", "--code").stdout.strip())
    assert "made the root" not in whole("user", "add", "li").stderr
    assert "hint: make the folder" in whole("--root", "elsewhere", "user", "list", code=2).stderr
