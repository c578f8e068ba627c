import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from ftpsvc.accounts import keys, schema
from ftpsvc.accounts.homes import set_aside
from ftpsvc.accounts.model import Role
from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import Kind, LoginName
from ftpsvc.exceptions import AuthenticationFailed, ConfigError, InvalidPath, InvalidRequest, Unavailable
from ftpsvc.scram import derive
from tests.helpers.logins import PASSWORD, Clock, add_device, log_in

FILE = Path(".ftpsvc", "ftpsvc.db")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with Accounts(tmp_path, clock=clock) as opened:
        yield opened


class TestDatabase:
    """The file: whose it is, what is in it, and of which version."""

    def test_only_the_owner_can_read_it(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            with Accounts(tmp_path) as accounts:
                accounts.add("alice")
                files = sorted(path.name for path in (tmp_path / ".ftpsvc").iterdir())
                assert files == ["ftpsvc.db", "ftpsvc.db-shm", "ftpsvc.db-wal"]
                for name in files:
                    assert stat.S_IMODE((tmp_path / ".ftpsvc" / name).stat().st_mode) == 0o600
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / ".ftpsvc").stat().st_mode) == 0o700

    def test_c36_a_database_that_does_not_tell_case_lets_nobody_in_by_another_spelling(
        self, tmp_path: Path
    ) -> None:
        """As MySQL's does by default: guesses at `ALICE` would not be slowed by those at `alice`."""
        with Accounts(tmp_path) as accounts:
            alice = accounts.add("alice")
            accounts.set_password(alice, derive(PASSWORD, Kind.PASSWORD))
        with sqlite3.connect(tmp_path / FILE) as database:
            database.execute("PRAGMA writable_schema = ON")
            database.execute(
                "UPDATE sqlite_master SET sql = replace(sql, char(9) || 'name VARCHAR(64)', "
                "char(9) || 'name VARCHAR(64) COLLATE NOCASE') WHERE name = 'users'"
            )
        database.close()
        with Accounts(tmp_path) as accounts:
            assert accounts.user("ALICE") == alice, "such a database it is"
            assert accounts.find("alice").credential is not None
            assert accounts.find("ALICE").credential is None

    def test_a_file_that_others_could_read_is_closed_to_them(self, tmp_path: Path) -> None:
        Accounts(tmp_path).close()
        (tmp_path / FILE).chmod(0o644)
        Accounts(tmp_path).close()
        assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600

    def test_a_link_in_its_place_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / ".ftpsvc").mkdir()
        (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(ConfigError, match="cannot keep users"):
            Accounts(tmp_path)
        assert not (tmp_path / "elsewhere").exists()

    def test_settings_that_keep_its_promises(self, accounts: Accounts) -> None:
        with accounts.database.read() as connection:
            for pragma, value in (
                ("journal_mode", "wal"),
                ("synchronous", 2),
                ("foreign_keys", 1),
                ("secure_delete", 1),
            ):
                assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value

    def test_the_migrations_make_the_tables_that_the_code_uses(self, accounts: Accounts) -> None:
        with accounts.database.read() as connection:
            context = MigrationContext.configure(connection)
            assert compare_metadata(context, schema.metadata) == []
            assert context.get_current_revision() == schema.HEAD

    def test_the_head_that_the_code_names_is_the_newest_migration(self) -> None:
        folder = Path(schema.__file__).parent / "migrations"
        assert ScriptDirectory(str(folder)).get_heads() == [schema.HEAD]

    def test_a_database_of_a_newer_ftpsvc_is_refused(self, tmp_path: Path) -> None:
        Accounts(tmp_path).close()
        with sqlite3.connect(tmp_path / FILE) as raw:
            raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.close()
        with pytest.raises(
            ConfigError, match="schema 9999, this ftpsvc knows none newer than 0001"
        ) as refused:
            Accounts(tmp_path)
        assert refused.value.hint

    def test_what_is_no_database_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / ".ftpsvc").mkdir()
        (tmp_path / FILE).write_text("a shopping list\n" * 100)
        with pytest.raises(ConfigError, match="not a database"):
            Accounts(tmp_path)

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("nonsense", "cannot be read"),
            ("oracle+nodriver://u:hunter2@host/db", "no driver"),
            ("sqlite:////nowhere/at/all.db", "unable to open"),
        ],
    )
    def test_a_url_that_leads_nowhere(self, tmp_path: Path, url: str, reason: str) -> None:
        with pytest.raises(ConfigError, match=reason) as refused:
            Accounts(tmp_path, url)
        assert "hunter2" not in str(refused.value)

    def test_any_url_will_do(self, tmp_path: Path) -> None:
        with Accounts(tmp_path, f"sqlite:///{tmp_path}/mine.db") as accounts:
            accounts.add("alice")
        assert not (tmp_path / FILE).exists()

    def test_a_root_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot keep users") as refused:
            Accounts(tmp_path / "missing")
        assert "--root" in str(refused.value.hint)

    @pytest.mark.skipif(os.geteuid() != 0, reason="is about what root must not do")
    def test_root_does_not_leave_files_in_the_daemons_folder(self, tmp_path: Path) -> None:
        os.chown(tmp_path, 12345, 12345)
        with pytest.raises(ConfigError, match="belongs to another user"):
            Accounts(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_locked_database_is_out_of_service_not_a_traceback(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ftpsvc.accounts.database.BUSY_SECONDS", 0.01)
        with Accounts(tmp_path) as accounts:
            accounts.add("alice")
            other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable) as refused:
                accounts.add("bob")
            assert refused.value.retry
            accounts.user("alice")  # readers do not wait for a writer
            other.execute("ROLLBACK")
            other.close()
            accounts.add("bob")

    def test_many_that_open_a_new_one_at_once_all_get_it(self, tmp_path: Path) -> None:
        problems: list[BaseException] = []
        begin = threading.Barrier(8)

        def open_it(number: int) -> None:
            begin.wait()
            try:
                with Accounts(tmp_path) as accounts:
                    accounts.add(f"user{number}")
            except BaseException as problem:  # noqa: BLE001 -- whatever a thread met is told by the test
                problems.append(problem)

        threads = [threading.Thread(target=open_it, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        with Accounts(tmp_path) as accounts:
            assert len(accounts.users()) == 8


class TestUsers:
    """What is known about people."""

    def test_a_user_is_what_was_said(self, accounts: Accounts, clock: Clock) -> None:
        user = accounts.add(
            "zhang", role=Role.TEACHER, quota=5 << 30, group="Section 1", student_id="", display_name="张老师"
        )
        assert accounts.user("zhang") == user
        assert (user.role, user.quota, user.group, user.display_name) == (
            Role.TEACHER,
            5 << 30,
            "Section 1",
            "张老师",
        )
        assert user.created == int(clock.now)
        assert not user.disabled

    def test_users_are_listed_by_role_and_group(self, accounts: Accounts) -> None:
        for name, role, group in (
            ("b", Role.STUDENT, "1"),
            ("a", Role.STUDENT, "2"),
            ("t", Role.TEACHER, "1"),
        ):
            accounts.add(name, role=role, group=group)
        assert [user.name for user in accounts.users()] == ["a", "b", "t"]
        assert [user.name for user in accounts.users(role=Role.STUDENT)] == ["a", "b"]
        assert [user.name for user in accounts.users(group="1")] == ["b", "t"]
        assert [user.name for user in accounts.users(role=Role.STUDENT, group="1")] == ["b"]

    def test_c29_a_name_that_could_be_taken_for_another_is_refused(self, accounts: Accounts) -> None:
        accounts.add("alice")
        accounts.add("сосо")
        with pytest.raises(ConfigError, match="already"):
            accounts.add("alice")
        for twin in ("Alice", "ALICE", "coco", "COCO"):
            with pytest.raises(ConfigError, match="taken for that of"):
                accounts.add(twin)
        for bad in ("../alice", "a|b", "a\nb", "x" * 300, "аlice", "ａlice"):
            with pytest.raises(InvalidPath):
                accounts.add(bad)
        assert [user.name for user in accounts.users()] == ["alice", "сосо"]

    def test_c29_two_that_add_twins_at_once_make_one(self, accounts: Accounts) -> None:
        begin = threading.Barrier(8)
        added: list[str] = []

        def add(name: str) -> None:
            begin.wait()
            try:
                added.append(accounts.add(name).name)
            except ConfigError:
                return

        threads = [threading.Thread(target=add, args=(name,)) for name in ("bob", "Bob", "BOB", "boB") * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [user.name for user in accounts.users()] == added
        assert len(added) == 1

    def test_changes(self, accounts: Accounts) -> None:
        accounts.add("alice", quota=100)
        assert accounts.change("alice", quota=None).quota is None
        assert accounts.change("alice", role=Role.TEACHER, group="2").role is Role.TEACHER
        assert accounts.change("alice", disabled=True).disabled
        assert accounts.user("alice").group == "2"
        for values in ({"quota": -1}, {"quota": 1 << 63}, {"group": "x" * 65}, {"display_name": "\x1b[2J"}):
            with pytest.raises(ConfigError):
                accounts.change("alice", **values)
        with pytest.raises(ConfigError, match="no user 'nobody'"):
            accounts.change("nobody", quota=1)

    def test_who_is_removed_is_gone_with_all_secrets(self, accounts: Accounts) -> None:
        user = accounts.add("alice")
        accounts.issue_code("alice")
        add_device(accounts, user)
        accounts.remove("alice")
        again = accounts.add("alice")
        assert again.id != user.id
        with accounts.database.read() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM credentials").scalar() == 0

    def test_sql_in_a_name_is_a_name(self, accounts: Accounts) -> None:
        accounts.add("alice")
        for text in ("alice' OR '1'='1", "alice'; DROP TABLE users; --", "%", "_____"):
            with pytest.raises(ConfigError, match="no user"):
                accounts.user(text)
            assert accounts.find(text).credential is None
        accounts.user("alice")


class TestSecretsKept:
    """Which secrets a user has."""

    def test_a_new_code_takes_the_place_of_the_one_before(self, accounts: Accounts, clock: Clock) -> None:
        user = accounts.add("alice")
        first, second = accounts.issue_code("alice"), accounts.issue_code("alice", lifetime=60)
        assert first != second
        assert accounts.secrets(user).code_expires == int(clock.now) + 60
        assert log_in(accounts, LoginName("alice", Kind.CODE), second).user == user
        assert accounts.secrets(user).code_expires is None

    def test_the_device_not_used_for_longest_makes_room(self, accounts: Accounts, clock: Clock) -> None:
        user = accounts.add("alice")
        devices = []
        for number in range(keys.MAX_TOKENS):
            devices.append(add_device(accounts, user, f"device {number}"))
            clock.now += 1
        clock.now += 1000
        log_in(accounts, *devices[0])
        add_device(accounts, user, "one more")
        labels = [token.label for token in accounts.secrets(user).tokens]
        assert len(labels) == keys.MAX_TOKENS
        assert "device 0" in labels
        assert "device 1" not in labels
        assert labels[0] == "one more"

    def test_last_use_is_written_once_a_minute(self, accounts: Accounts, clock: Clock) -> None:
        user = accounts.add("alice")
        device, secret = add_device(accounts, user)
        begin = int(clock.now)
        seen = []
        for seconds in (0, 1, 59, 60, 61, 119, 120):
            clock.now = begin + seconds
            log_in(accounts, device, secret)
            seen.append(accounts.secrets(user).tokens[0].used)
        assert seen == [begin, begin, begin, begin + 60, begin + 60, begin + 60, begin + 120]
        clock.now = begin - 1000  # a clock that was set back does not freeze it
        log_in(accounts, device, secret)
        assert accounts.secrets(user).tokens[0].used == begin - 1000

    def test_one_device_is_revoked_and_the_others_stay(self, accounts: Accounts) -> None:
        alice, bob = accounts.add("alice"), accounts.add("bob")
        (lost, _), (kept, secret) = add_device(accounts, alice), add_device(accounts, alice)
        assert accounts.revoke_token(bob, lost.token_id) == 0
        assert accounts.revoke_token(alice, lost.token_id) == 1
        assert accounts.revoke_token(alice, lost.token_id) == 0
        assert log_in(accounts, kept, secret).user == alice
        assert accounts.revoke_token(alice, None) == 1

    def test_verifiers_of_other_sizes_are_refused(self, accounts: Accounts) -> None:
        user = accounts.add("alice")
        with pytest.raises(InvalidRequest):
            accounts.set_password(user, derive(PASSWORD, Kind.TOKEN))
        with pytest.raises(InvalidRequest):
            accounts.issue_token(user, "x", derive(PASSWORD, Kind.PASSWORD))
        assert accounts.secrets(user).password is False

    def test_who_was_removed_meanwhile_gets_no_secrets(self, accounts: Accounts) -> None:
        user = accounts.add("alice")
        accounts.remove("alice")
        again = accounts.add("alice")
        with pytest.raises(AuthenticationFailed, match="this account was removed"):
            accounts.issue_token(user, "x", derive("x", Kind.TOKEN))
        with pytest.raises(AuthenticationFailed, match="this account was removed"):
            accounts.set_password(user, derive(PASSWORD, Kind.PASSWORD))
        assert not accounts.secrets(again).tokens
        assert not accounts.secrets(again).password


class TestHomes:
    """What becomes of files."""

    def test_a_home_is_set_aside_whole(self, tmp_path: Path) -> None:
        home = tmp_path / "users" / "a b"
        home.mkdir(parents=True)
        (home / "f").write_text("mine")
        kept = set_aside(tmp_path, "a b", 1_790_000_000)
        assert kept == tmp_path / ".ftpsvc" / "removed" / "a b-20260921T141320Z"
        assert (kept / "f").read_text() == "mine"
        assert not home.exists()
        assert set_aside(tmp_path, "a b", 1_790_000_000) is None

    def test_there_may_be_no_home_and_no_homes_at_all(self, tmp_path: Path) -> None:
        assert set_aside(tmp_path, "alice", 0) is None
        (tmp_path / "users").mkdir()
        assert set_aside(tmp_path, "alice", 0) is None

    def test_a_link_in_place_of_a_home_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "users").mkdir()
        (tmp_path / "users" / "alice").symlink_to("/etc")
        with pytest.raises(ConfigError, match="set the home"):
            set_aside(tmp_path, "alice", 0)


def test_databases_of_several_roots_are_made_at_once(tmp_path: Path) -> None:
    start = threading.Barrier(8)
    failed: list[Exception] = []

    def make(number: int) -> None:
        root = tmp_path / str(number)
        (root / ".ftpsvc").mkdir(mode=0o700, parents=True)
        start.wait()
        try:
            with Accounts(root) as accounts:
                accounts.add(f"user{number}")
        except Exception as error:  # noqa: BLE001 -- told by the thread that waits
            failed.append(error)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
