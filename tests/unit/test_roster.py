from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpsvc.accounts import roster
from ftpsvc.accounts.enrol import Enrolled, enrol
from ftpsvc.accounts.model import Role
from ftpsvc.accounts.roster import Fault, RosterFaulty, parse
from ftpsvc.accounts.slips import Server, Slip, as_html, as_text
from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import Kind, LoginName
from ftpsvc.exceptions import ConfigError
from ftpsvc.scram import derive
from tests.helpers.logins import PASSWORD, Clock, add_device, log_in

CLASS = "学号,姓名,班级\n2026001,王小明,一班\n2026002,李华,二班\n"
ENGLISH = "Student ID,Name,Section\n2026001,王小明,一班\n2026002,李华,二班\n"
HEADLESS = "2026001,王小明,一班\n2026002,李华,二班\n"
EXPECTED = [("2026001", "2026001", "王小明", "一班"), ("2026002", "2026002", "李华", "二班")]


def rows(data: bytes) -> list[tuple[str, str, str, str]]:
    parsed = parse(data)
    assert parsed.faults == []
    return [(row.user, row.student_id, row.display_name, row.group) for row in parsed.rows]


class TestParse:
    """What a class list may look like."""

    @pytest.mark.parametrize("text", [CLASS, ENGLISH, HEADLESS], ids=["chinese", "english", "no header"])
    @pytest.mark.parametrize(
        ("codec", "encoding"),
        [
            ("utf-8", "UTF-8"),
            ("utf-8-sig", "UTF-8"),
            ("gbk", "GBK"),
            ("gb18030", "GBK"),
            ("utf-16", "UTF-16"),
        ],
    )
    @pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
    def test_encodings_headers_and_ends_of_lines(
        self, text: str, codec: str, encoding: str, newline: str
    ) -> None:
        data = text.replace("\n", newline).encode(codec)
        assert rows(data) == EXPECTED
        assert parse(data).encoding == encoding

    @pytest.mark.parametrize("delimiter", [";", "\t"])
    def test_delimiters(self, delimiter: str) -> None:
        assert rows(CLASS.replace(",", delimiter).encode()) == EXPECTED

    def test_columns_in_any_order_and_ones_that_mean_nothing(self) -> None:
        text = "group, remark ,STUDENT_ID,e-mail,name\n一班,late,2026001,x@y,王小明\n二班,,2026002,,李华\n"
        assert rows(text.encode()) == EXPECTED

    def test_a_column_of_user_names(self) -> None:
        text = "user,id,name\nwang,2026001,王小明\n,2026002,李华\n"
        assert rows(text.encode()) == [("wang", "2026001", "王小明", ""), ("2026002", "2026002", "李华", "")]

    def test_quotes_spaces_empty_lines_and_short_ones(self) -> None:
        text = 'id,name,group\n\n 1 , "Smith, Ann",\n,,\n"2","O""Neil"\n3\n'
        assert [(row.line, row.user, row.display_name) for row in parse(text.encode()).rows] == [
            (3, "1", "Smith, Ann"),
            (5, "2", 'O"Neil'),
            (6, "3", ""),
        ]

    def test_all_faults_are_told_at_once_with_their_lines(self) -> None:
        text = (
            "学号,姓名,班级\n"
            "2026001,王小明,一班\n"
            ",无名,一班\n"
            "2026/3,李,一班\n"
            '2026004,"Ann\nB.",一班\n'
            "2026001,王又来,一班\n"
            f"2026007,{'x' * 201},一班\n"
            "2026008,a,b,c\n"
            "AB,x,y\n"
            "ab,x,y\n"
        )
        parsed = parse(text.encode())
        assert [row.user for row in parsed.rows] == ["2026001", "AB"]
        assert [fault.line for fault in parsed.faults] == [3, 4, 5, 7, 8, 9, 11]
        reasons = dict(parsed.faults)
        assert "no student id" in reasons[3]
        assert "not a usable name" in reasons[4]
        assert "control characters" in reasons[5]
        assert "of line 2 again" in reasons[7]
        assert "more than 200" in reasons[8]
        assert "4 columns, where there are 3" in reasons[9]
        assert "'ab' is 'AB' of line 10 again" in reasons[11]

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", "no rows"),
            (b"\n\n", "no rows"),
            (b"id,name,group\n", "no rows"),
            (b"name,group\nx,y\n", "no column of student ids"),
            (b"id,name,id\n1,x,2\n", "twice"),
            (b"\xff\xff\xff1,2\n", "neither UTF-8 nor GBK"),
            (b'id,name\n1,"open\n', "line 2"),
            (b"x" * (roster.MAX_BYTES + 1), "bytes"),
        ],
    )
    def test_what_is_no_roster(self, data: bytes, reason: str) -> None:
        with pytest.raises(ConfigError, match=reason):
            parse(data)

    @given(
        st.binary(max_size=400)
        | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
    )
    def test_whatever_the_file_is_the_error_is_ours(self, data: bytes) -> None:
        try:
            parsed = parse(data)
        except ConfigError:
            return
        assert parsed.rows or parsed.faults
        assert all("\n" not in str(fault) for fault in parsed.faults)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with Accounts(tmp_path, clock=clock) as opened:
        yield opened


def take(
    accounts: Accounts, text: str, *, new_codes: bool = False, skip_faulty: bool = False
) -> list[Enrolled]:
    parsed = parse(text.encode())
    return enrol(
        accounts, parsed.rows, parsed.faults, new_codes=new_codes, skip_faulty=skip_faulty, quota=1 << 30
    )


class TestEnrol:
    """What a class list does to the accounts."""

    def test_new_students_get_an_account_and_a_code_that_works(self, accounts: Accounts) -> None:
        done = take(accounts, CLASS)
        assert [(one.user.name, one.change) for one in done] == [("2026001", "added"), ("2026002", "added")]
        user = done[0].user
        assert (user.role, user.quota, user.group, user.display_name) == (
            Role.STUDENT,
            1 << 30,
            "一班",
            "王小明",
        )
        for one in done:
            assert one.code is not None
            assert log_in(accounts, LoginName(one.user.name, Kind.CODE), one.code).user == one.user

    def test_importing_again_changes_names_and_groups_and_no_codes(self, accounts: Accounts) -> None:
        codes = {one.user.name: one.code for one in take(accounts, CLASS)}
        accounts.change("2026001", quota=5)
        again = take(accounts, CLASS.replace("一班", "三班") + "2026003,新来,三班\n")
        assert [(one.user.name, one.change, one.code is not None) for one in again] == [
            ("2026001", "updated", False),
            ("2026002", "unchanged", False),
            ("2026003", "added", True),
        ]
        assert accounts.user("2026001").group == "三班"
        assert accounts.user("2026001").quota == 5
        log_in(accounts, LoginName("2026001", Kind.CODE), codes["2026001"] or "")

    def test_who_can_neither_log_in_nor_has_a_code_gets_one(self, accounts: Accounts, clock: Clock) -> None:
        students = [f"s{number}" for number in range(5)]
        text = "".join(f"{name},,\n" for name in students)
        codes = {one.user.name: one.code or "" for one in take(accounts, text)}
        accounts.set_password(accounts.user("s0"), derive(PASSWORD, Kind.PASSWORD))
        add_device(accounts, accounts.user("s1"))
        log_in(accounts, LoginName("s2", Kind.CODE), codes["s2"])  # and then the laptop died
        assert {one.user.name for one in take(accounts, text) if one.code} == {"s2"}
        clock.now += 15 * 24 * 3600
        assert {one.user.name for one in take(accounts, text) if one.code} == {"s2", "s3", "s4"}
        assert all(one.code for one in take(accounts, text, new_codes=True))

    def test_a_fault_anywhere_and_nothing_is_imported(self, accounts: Accounts) -> None:
        accounts.add("zhang", role=Role.TEACHER)
        accounts.add("Ann")
        text = CLASS + "zhang,x,y\nann,x,y\n,z,z\n"
        with pytest.raises(RosterFaulty) as refused:
            take(accounts, text)
        assert [fault.line for fault in refused.value.faults] == [4, 5, 6]
        assert "is there already, as teacher" in refused.value.faults[0].reason
        assert "could be taken for" in refused.value.faults[1].reason
        assert [user.name for user in accounts.users()] == ["Ann", "zhang"]
        assert len(take(accounts, text, skip_faulty=True)) == 2
        assert accounts.user("zhang").role is Role.TEACHER

    def test_codes_that_could_not_be_written_down_do_not_exist(self, accounts: Accounts) -> None:
        def fail(done: list[Enrolled]) -> None:
            assert len(done) == 2
            raise ConfigError("the disk is full")

        parsed = parse(CLASS.encode())
        with pytest.raises(ConfigError, match="disk is full"):
            enrol(accounts, parsed.rows, parsed.faults, deliver=fail)
        assert accounts.users() == []


def test_a_file_that_is_no_roster_is_told_in_a_line_and_not_in_all_its_bytes() -> None:
    assert [len(str(fault)) < 400 for fault in parse(bytes(100_000)).faults] == [True]


def test_a_fault_reads_as_a_line() -> None:
    assert str(Fault(3, "there is no student id")) == "line 3: there is no student id"


SLIPS = [
    Slip("b", "B", "2", "AAAA-BBBB-CCCC-DDDD", 1_790_000_000),
    Slip("a b", '<script>alert("x")</script>&\x1b[2J', "1", "EEEE-FFFF-GGGG-HHHH", 1_790_000_000),
]
SERVER = Server("ftpsvc://ftp.example:9021", "SHA256 12:34")


class Reader(HTMLParser):
    """Collects tags and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_slips_have_what_a_student_needs_sorted_by_group() -> None:
    text = as_text(SLIPS, SERVER)
    assert text.index("EEEE-FFFF") < text.index("AAAA-BBBB")
    for needed in ("AAAA-BBBB-CCCC-DDDD", "ftpsvc://ftp.example:9021", "SHA256 12:34", "2026-09-2"):
        assert text.count(needed) >= 1
    assert 'ftpsvc login ftpsvc://ftp.example:9021 --user "a b"' in text
    assert "\x1b" not in text
    assert "Fingerprint" not in as_text(SLIPS, Server(None, None))


def test_a_page_of_slips_shows_names_and_runs_nothing() -> None:
    page = as_html(SLIPS, SERVER)
    reader = Reader()
    reader.feed(page)
    assert reader.tags.count("section") == 2
    assert "script" not in reader.tags
    assert '<script>alert("x")</script>&\\x1b[2J' in reader.text
    assert reader.text.index("EEEE-FFFF") < reader.text.index("AAAA-BBBB")
    assert "http" not in page
    assert "SHA256 12:34" in reader.text
    assert "12:<wbr>34" in page, "on paper a fingerprint is broken between its bytes"
