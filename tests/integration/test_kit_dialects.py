"""The dialects that students write, spoken to a server that speaks them all; the whole protocol, to the real one."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import pytest

from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import Kind
from ftpsvc.homework.kit.checks import CHECKS
from ftpsvc.homework.kit.codecs import Codec, Delimited
from ftpsvc.homework.kit.declared import FILE, Account, DeclarationError, Declared, read
from ftpsvc.homework.kit.dialects import speaks
from ftpsvc.homework.kit.findings import Garbled, Hung
from ftpsvc.homework.kit.judging import START_HINT, judge, judge_server
from ftpsvc.homework.kit.relay import _drained
from ftpsvc.homework.kit.report import lines
from ftpsvc.homework.kit.rubric import Report
from ftpsvc.homework.kit.server import Prepared, Usage
from ftpsvc.homework.kit.student import ORDER, DelimitedText
from ftpsvc.homework.kit.wire import Wire
from ftpsvc.homework.sandbox.base import Sandbox
from ftpsvc.homework.sandbox.choose import find_python
from ftpsvc.scram import derive
from tests.helpers.certs import make
from tests.helpers.channels import tcp_pair
from tests.helpers.counts import full
from tests.helpers.daemon import server
from tests.helpers.faulty_servers import ACCOUNTS, STUDENT

LONG = 120.0
WORDS = {
    "struct-json": ('cmd = "what"', {'"cmd": "op"': '"what": "op"'}),
    "padded-json": (
        'fill = "pad"\nput = "upload"',
        {'"fill"': '"pad"', '"auth": "login"': '"auth": "login", "upload": "put"'},
    ),
    "bare-json": ('action = "do"', {'"action": "op"': '"do": "op"'}),
    "delimited": ('"|" = ":"', {'split("|")': 'split(":")', '"|".join': '":".join'}),
}  # fmt: skip


def judged(sandbox: Sandbox, folder: Path, *arguments: str, points: tuple[int, ...] = ()) -> Report:
    python = find_python(sandbox)
    assert python is not None
    checks = [one for one in CHECKS if one.point in points] if points else CHECKS
    return judge_server(
        sandbox, folder, ("python", "server.py", *arguments), python=python, profile="full", patience=LONG,
        seconds=30 * LONG, checks=checks,
    )  # fmt: skip


@pytest.mark.parametrize("dialect", WORDS)
def test_a_good_server_of_each_dialect_gets_all_points(
    sandbox: Sandbox, tmp_path: Path, dialect: str
) -> None:
    (tmp_path / "server.py").write_text(STUDENT, encoding="utf-8")
    (tmp_path / FILE).write_text(f'dialect = "{dialect}"\n' + ACCOUNTS.format(way="challenge"), "utf-8")
    points = () if full() or dialect == "padded-json" else (1, 4, 9)
    report = judged(sandbox, tmp_path, dialect, "PORT", points=points)
    assert [(one.check.name, one.seen) for one in report.failed] == []
    scored = [one for one in report.results if one.status == "passed"]
    assert len(scored) >= (len(points) or 8) * 3
    assert report.dialect == dialect


@pytest.mark.parametrize("dialect", WORDS)
def test_a_hand_in_says_what_its_server_calls_things(sandbox: Sandbox, tmp_path: Path, dialect: str) -> None:
    words, edits = WORDS[dialect]
    text = STUDENT
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "server.py").write_text(text, encoding="utf-8")
    declared = f'dialect = "{dialect}"\n' + ACCOUNTS.format(way="clear") + f"[words]\n{words}\n"
    (tmp_path / FILE).write_text(declared, "utf-8")
    report = judged(sandbox, tmp_path, dialect, "PORT", "clear", points=(5, 6))
    assert [(one.check.name, one.seen) for one in report.failed] == []
    assert report.total() == (20, 20)


def test_a_server_is_reset_before_each_start(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(STUDENT.replace('"home/bob"', "HOME"), encoding="utf-8")
    (tmp_path / "reset.py").write_text(
        "text = open('server.py').read()\n"
        "open('server.py', 'w').write(text.replace('DIALECT, PORT =', 'HOME = \"home/bob\"\\nDIALECT, PORT =', 1))\n"
    )
    declared = 'dialect = "struct-json"\nreset = ["python", "reset.py"]\n' + ACCOUNTS.format(way="challenge")
    (tmp_path / FILE).write_text(declared, "utf-8")
    assert judged(sandbox, tmp_path, "struct-json", "PORT", points=(5,)).total() == (10, 10)
    (tmp_path / "reset.py").write_text("raise SystemExit(3)", encoding="utf-8")
    report = judged(sandbox, tmp_path, "struct-json", "PORT", points=(5,))
    assert {one.seen.partition(" ")[2] for one in report.failed} == {"reset.py ended with 3"}
    assert report.total() == (0, 10)


def test_a_server_that_speaks_tls_encrypts_its_log_in(sandbox: Sandbox, tmp_path: Path) -> None:
    pair = make()
    (tmp_path / "server.pem").write_bytes(pair.key + pair.certificate)
    text = STUDENT.replace(
        "    def handle_error(",
        "    def get_request(self):\n"
        "        import ssl\n"
        "        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
        "        context.load_cert_chain('server.pem')\n"
        "        connection, address = super().get_request()\n"
        "        connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)\n"
        "        return connection, address\n\n"
        "    def handle_error(",
    )
    (tmp_path / "server.py").write_text(text, encoding="utf-8")
    declared = 'dialect = "struct-json"\ntls = true\n' + ACCOUNTS.format(way="clear")
    (tmp_path / FILE).write_text(declared, "utf-8")
    report = judged(sandbox, tmp_path, "struct-json", "PORT", "clear", points=(1,))
    assert [(one.check.name, one.seen) for one in report.failed] == []
    (tmp_path / "server.py").write_text(STUDENT, encoding="utf-8")
    report = judged(sandbox, tmp_path, "struct-json", "PORT", "clear", points=(1,))
    assert report.total() == (0, 10)
    assert {one.expected for one in report.failed} == {"TLS, as accounts.toml says"}


def test_quiet_puts_and_missing_digests_are_no_faults(sandbox: Sandbox, tmp_path: Path) -> None:
    renamed = "                os.replace(staged, path)\n"
    text = STUDENT.replace(renamed, renamed + "                return\n", 1)
    (tmp_path / "server.py").write_text(text, encoding="utf-8")
    declared = 'dialect = "struct-json"\nquiet_put = true\ndigest = "none"\n' + ACCOUNTS.format(way="clear")
    (tmp_path / FILE).write_text(declared, "utf-8")
    report = judged(sandbox, tmp_path, "struct-json", "PORT", "clear", points=(7,))
    assert [(one.check.name, one.seen) for one in report.failed] == []
    assert {one.check.name: one.reason for one in report.results if one.status == "not scored"} == {
        "a digest that does not fit": "the dialect has no digests",
        "the request after a refused put": "the server answers no put",
    }


def test_a_text_without_an_end_of_line_is_told_and_can_be_declared(sandbox: Sandbox, tmp_path: Path) -> None:
    text = STUDENT.replace('status), *words]) + "\\n")', "status), *words]))")
    text = text.replace("self.rfile.readline(4096)", "self.rfile.read1(1024)")
    assert "readline" not in text
    assert text.count('+ "\\n").encode()') == STUDENT.count('+ "\\n").encode()') - 1
    (tmp_path / "server.py").write_text(text, encoding="utf-8")
    declared = 'dialect = "delimited"\n' + ACCOUNTS.format(way="clear")
    (tmp_path / FILE).write_text(declared + '[words]\n"\\n" = ""\n', "utf-8")
    report = judged(sandbox, tmp_path, "delimited", "PORT", "clear", points=(5, 6))
    assert [(one.check.name, one.seen) for one in report.failed] == []
    assert report.total() == (20, 20)
    ours, theirs = tcp_pair()
    with ours, theirs:
        user = speaks("delimited", "full", Declared()).converse(Wire(ours, 0.2, lambda _: True))
        theirs.sendall(b"ok")
        with pytest.raises(Hung, match=r"an answer with '.n' at its end; seen: .*, behind 'ok'") as found:
            user.done()
        assert '"\\n" = ""' in found.value.hint


def test_a_message_that_is_no_text_ends_as_the_dialect_does() -> None:
    class Lines(DelimitedText):
        def make_codec(self, called: Mapping[str, str]) -> Codec:
            return Delimited("|", "\r\n", ORDER)

    assert Lines(Declared()).messages["no UTF-8"].endswith(b"\xfd\r\n")


def test_the_header_of_a_content_needs_no_status() -> None:
    ours, theirs = tcp_pair()
    with ours, theirs:
        dialect = speaks("struct-json", "full", Declared(digest="none"))
        user = dialect.converse(Wire(ours, LONG, lambda _: True))
        header = b'{"filename": "a.txt", "filesize": 5}'
        theirs.sendall(len(header).to_bytes(4, "little") + header + b"hello")
        assert user.get("a.txt") == b"hello"
        theirs.sendall(len(header).to_bytes(4, "little") + header)
        with pytest.raises(Garbled, match="an answer with status"):
            user.cd("music")


def test_a_server_does_not_write_into_the_memory_of_what_stands_beside_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    text = """import os, sys
try:
    open(f"/proc/{os.getppid()}/mem", "r+b")
except PermissionError:
    sys.exit(8)
sys.exit(7)
"""
    (tmp_path / "server.py").write_text(text, encoding="utf-8")
    assert {one.seen for one in judged(sandbox, tmp_path).failed} == {"it ended with 8"}


def test_what_keeps_all_checks_from_being_tried_has_a_hint_of_its_own(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "server.py").write_text("def broken(:\n", encoding="utf-8")
    report = judged(sandbox, tmp_path, "PORT")
    assert {one.hint for one in report.failed} == {START_HINT}
    assert "SyntaxError" in report.failed[0].seen
    (tmp_path / FILE).write_text('[[account]]\nname = "a"\n', encoding="utf-8")
    report = judged(sandbox, tmp_path, "PORT")
    text = "\n".join(lines(report, "zh"))
    assert "      实际      accounts.toml：账号要有 name 和 password\n" in text
    assert "      提示      先改好 accounts.toml：一项检查也没有进行\n" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("account = 5", "[[account]]"),
        ("dialect = 5", "dialect is a text"),
        ('dialect = "smtp"', "there is no 'smtp'"),
        ('login = "telepathy"', "clear, digest, challenge"),
        ('[[account]]\nname = "a"', "a name and a password"),
        ('[[account]]\nname = "a"\npassword = "p"\nhome = "../b"', "a folder in the hand-in"),
        ('[[account]]\nname = "a"\npassword = "p"\nquota = "lots"', "is no size"),
        ('[[account]]\nname = "a"\npassword = "p"\nquota = -5', "a number of bytes"),
        ('passwords = "x"', "there is no 'passwords'"),
        ('dialect = "struct-json"\n[words]\nfilenam = "x"', "there is no 'filenam'"),
        ('dialect = "bare-json"\norder = "big"', "no length"),
        ("x" * 70_000, "more than 64 KiB"),
        ("[", "accounts.toml"),
    ],
)
def test_a_declaration_that_is_none_fails_every_check_and_says_why(
    sandbox: Sandbox, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    report = judged(sandbox, tmp_path, "PORT")
    assert len(report.failed) == len(report.results) > 20
    assert said in report.failed[0].seen
    assert report.total()[0] == 0


def test_a_link_for_a_declaration_is_none(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.toml").write_text("[", encoding="utf-8")
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere.toml")
    assert read(tmp_path) == Declared()


def test_a_dialect_of_a_hand_in_is_one_that_there_is(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('code of a student')", encoding="utf-8")
    with pytest.raises(DeclarationError, match="there is no"):
        speaks(None, "base", Declared(dialect=str(tmp_path / "evil.py")))


class RealServer:
    """ftpsvc-server itself as what is judged: not in a sandbox, since it is ours."""

    killed_by = None

    def __init__(self, root: Path, prepared: Prepared, port: int) -> None:
        self._root, self._prepared, self._port = root, prepared, port
        self._stack = ExitStack()

    @property
    def place(self) -> str:
        return str(self._root)

    def __enter__(self) -> Self:
        (self._root / ".ftpsvc").mkdir(mode=0o700, parents=True)
        with Accounts(self._root) as accounts:
            for one in USERS:
                user = accounts.add(one.name, quota=one.quota)
                accounts.set_password(user, derive(one.password, Kind.PASSWORD))
        for name in self._prepared.folders:
            (self._root / name).mkdir(parents=True, exist_ok=True)
        for name, text in self._prepared.files.items():
            (self._root / name).write_text(text, encoding="utf-8")
        for name, target in self._prepared.links.items():
            (self._root / name).symlink_to(target)
        self._start()
        return self

    def _start(self) -> None:
        listen = f"ftpsvc+tcp://127.0.0.1:{self._port}"
        self._process = self._stack.enter_context(server(self._root, listen=listen, guest="none"))
        self._port = self._process.where[1]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), LONG)

    def drained(self, connection: socket.socket) -> bool:
        return _drained(self._port, connection.getsockname()[1], LONG)

    def content(self, name: str) -> bytes | None:
        path = self._root / name
        return path.read_bytes()[:4096] if path.is_file() else None

    def holding(self, text: str) -> list[str]:
        return [
            str(path.relative_to(self._root))
            for path in self._root.rglob("*")
            if path.is_file() and text.encode() in path.read_bytes()
        ]

    def usage(self) -> Usage:
        return Usage(
            self._process.status("Threads"), self._process.descriptors(), self._process.status("VmHWM") << 10
        )

    def exit(self, seconds: float = 0.0) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self._process.process.wait(seconds)
        return None

    def again(self, signal: int) -> None:
        self._process.signal(signal)
        self._process.end()
        self._start()

    def close(self) -> None:
        self._stack.close()

    def end(self) -> str:
        self.close()
        return ""

    def output(self) -> str:
        return ""


USERS = (
    Account(name="alice", password="correct horse battery", home="users/alice"),
    Account(name="bob", password="staple battery horse", home="users/bob", quota=400_000),
)


SAMPLE = ("odd user names", "more than there is room for", "an upload goes on")
"""Of each point that the base profile has not, one: a log-in by password is 600,000 iterations."""


@pytest.mark.timeout(1800)
def test_the_real_server_does_all_that_is_asked_of_a_student(tmp_path: Path) -> None:
    number = iter(range(100))
    report = judge(
        lambda prepared: RealServer(tmp_path / str(next(number)), prepared, 0),
        speaks("base", "full", Declared(accounts=USERS)),
        profile="full",
        patience=LONG,
        seconds=30 * LONG,
        checks=CHECKS if full() else [one for one in CHECKS if one.name in SAMPLE],
    )
    assert [(one.check.name, one.seen) for one in report.failed] == []
    assert report.total() == ((115, 115) if full() else (30, 30))
