"""A class list as a CSV file: read with all its faults at once. Source: docs/accounts.md ("A whole class")."""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass
from typing import Final, NamedTuple

from ftpsvc.accounts.names import check_user_name, confusion_key
from ftpsvc.accounts.store import check_values
from ftpsvc.exceptions import ConfigError, FtpsvcError
from ftpsvc.text import printable

MAX_BYTES: Final = 4 << 20
MAX_ROWS: Final = 20_000
_REASON_CHARACTERS: Final = 300

_HEADINGS: Final = {
    "student_id": ("student id", "student no", "student number", "id", "sid", "学号", "學號", "学生编号", "學生編號"),
    "display_name": ("name", "full name", "student name", "姓名", "名字", "学生姓名", "學生姓名"),
    "group": ("group", "section", "class", "组", "組", "小组", "分组", "班", "班级", "班級"),
    "user": ("user", "user name", "username", "account", "login", "用户名", "账号", "帳號"),
}  # fmt: skip
_COLUMNS: Final = {heading: column for column, headings in _HEADINGS.items() for heading in headings}
_WITHOUT_HEADER: Final = ("student_id", "display_name", "group")
_BOMS: Final = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class Fault(NamedTuple):
    """What is wrong in a roster.

    Attributes:
        line: Line of the file, from 1.
        reason: In words.
    """

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class RosterFaulty(ConfigError):
    """A roster that was not imported.

    Attributes:
        faults: All that is wrong, in the order of the lines.
    """

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(
            "the roster was not imported, nothing was changed",
            hint="mend these lines, or import the others with --skip-faulty",
        )
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Row:
    """One student.

    Attributes:
        line: Line of the file, from 1.
        user: The user name: of its own column, else the student id.
        student_id: May be empty only where there is a column of user names.
        display_name: May be empty.
        group: May be empty.
    """

    line: int
    user: str
    student_id: str
    display_name: str
    group: str


@dataclass(frozen=True, slots=True)
class Roster:
    """What a file says.

    Attributes:
        rows: The lines that can be used.
        faults: What is wrong with the others.
        encoding: As what the file was read: `UTF-8`, `UTF-16` or `GBK`.
    """

    rows: list[Row]
    faults: list[Fault]
    encoding: str


def parse(data: bytes) -> Roster:
    """Reads a roster.

    Columns are told by a header row in English or Chinese, in any order; without one they are student id, name, group.
    They are parted by commas, semicolons or tabs.

    Raises:
        ConfigError: It is no such file at all: neither UTF-8 nor GBK, too large, or without any row.
    """
    if len(data) > MAX_BYTES:
        raise ConfigError(f"the roster has more than {MAX_BYTES:,} bytes")
    text, encoding = _decode(data)
    columns: list[str] | None = None
    rows: list[Row] = []
    faults: list[Fault] = []
    seen: dict[str, Row] = {}
    for line, cells in _lines(text):
        if columns is None:
            columns = _header(cells)
            if columns is not None:
                continue
            columns = list(_WITHOUT_HEADER)
        try:
            row = _row(line, columns, cells)
            key = confusion_key(row.user)
            if key in seen:
                twin = seen[key]
                raise ConfigError(
                    f"{printable(row.user)!r} is {printable(twin.user)!r} of line {twin.line} again"
                )
            seen[key] = row
            rows.append(row)
        except FtpsvcError as problem:
            faults.append(Fault(line, _short(str(problem))))
    if not rows and not faults:
        raise ConfigError("the roster has no rows", hint="it is a CSV file of student id, name, group")
    return Roster(rows, faults, encoding)


def _short(reason: str) -> str:
    """Cuts what quotes a cell that is no name at all: a file of NULs is one of 4 MiB."""
    return reason if len(reason) <= _REASON_CHARACTERS else f"{reason[:_REASON_CHARACTERS]}..."


def _decode(data: bytes) -> tuple[str, str]:
    codec = next((codec for bom, codec in _BOMS.items() if data.startswith(bom)), "utf-8")
    try:
        return data.decode(codec), "UTF-16" if codec == "utf-16" else "UTF-8"
    except UnicodeDecodeError:
        pass
    try:
        # What Excel saves on a Chinese Windows; GB 18030 is GBK and more. Chinese in GBK is never valid UTF-8 by
        # chance for the length of a class list, so UTF-8 was tried first.
        return data.decode("gb18030"), "GBK"
    except UnicodeDecodeError:
        raise ConfigError(
            "the roster is neither UTF-8 nor GBK", hint='save it as "CSV UTF-8" in the spreadsheet program'
        ) from None


def _lines(text: str) -> list[tuple[int, list[str]]]:
    """Returns the rows that are not empty, each with the line that it begins on."""
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)  # the comma if there is none of them
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    lines: list[tuple[int, list[str]]] = []
    begin = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                lines.append((begin, stripped))
            begin = reader.line_num + 1
            if len(lines) > MAX_ROWS:
                raise ConfigError(f"the roster has more than {MAX_ROWS:,} rows")
    except csv.Error as problem:
        raise ConfigError(f"the roster is no CSV file: line {begin}: {problem}") from None
    return lines


def _header(cells: list[str]) -> list[str] | None:
    """Returns which column is which, or None where the first row is no header."""
    columns = [_COLUMNS.get(" ".join(cell.replace("_", " ").lower().split()), "") for cell in cells]
    known = [column for column in columns if column]
    if not known:
        return None
    if len(set(known)) != len(known):
        raise ConfigError("the header of the roster names a column twice")
    if not {"student_id", "user"} & set(known):
        raise ConfigError("the header of the roster has no column of student ids or user names")
    return columns


def _row(line: int, columns: list[str], cells: list[str]) -> Row:
    if len(cells) > len(columns) and any(cells[len(columns) :]):
        raise ConfigError(f"{len(cells)} columns, where there are {len(columns)}")
    found = {column: cell for column, cell in zip(columns, cells, strict=False) if column}
    student_id = found.get("student_id", "")
    user = found.get("user") or student_id
    if not user:
        raise ConfigError("there is no student id")
    row = Row(line, check_user_name(user), student_id, found.get("display_name", ""), found.get("group", ""))
    check_values({"student_id": student_id, "display_name": row.display_name, "group": row.group})
    return row
