"""The parts of the command line that need no server: exit codes, widths, targets, arguments."""

from __future__ import annotations

import inspect
import os

import pytest

from ftpsvc import exceptions
from ftpsvc.exceptions import ConfigError, FtpsvcError, InvalidPath
from ftpsvc.text import padded, width
from ftpsvc_client.cli import exits, targets
from ftpsvc_client.cli.app import completion_timeout
from ftpsvc_client.cli.output import in_columns, shortened
from ftpsvc_client.cli.params import as_unicode
from ftpsvc_client.cli.shown import moment


def all_errors() -> list[type[FtpsvcError]]:
    return [cls for _, cls in inspect.getmembers(exceptions, inspect.isclass) if issubclass(cls, FtpsvcError)]


# What stays at 1 does so on purpose: bases, our own bugs, and what the server alone knows the meaning of.
GENERAL = {
    "FtpsvcError", "ProtocolError", "LocalProtocolError", "StorageError", "InvalidRequest", "UnknownOperation",
    "RemoteError",
}  # fmt: skip


@pytest.mark.parametrize("cls", all_errors())
def test_each_class_of_errors_has_its_exit_code(cls: type[FtpsvcError]) -> None:
    assert (exits.code_of_class(cls) == exits.FAILED) == (cls.__name__ in GENERAL)


def test_exit_codes_are_unambiguous_and_possible() -> None:
    codes = [meaning.code for meaning in exits.TABLE]
    assert codes == sorted(set(codes))
    assert all(0 <= code < 256 for code in codes)
    classes = [cls for meaning in exits.TABLE for cls in meaning.errors]
    assert len(classes) == len(set(classes))


@pytest.mark.parametrize(
    ("codes", "tried", "expected"),
    [
        ([3], 1, 3),
        ([3, 3], 2, 3),
        ([3], 2, 20),
        ([3, 4], 2, 20),
        ([3, 10], 5, 10),
        ([4], None, 20),
        ([10], None, 10),
    ],
)
def test_the_code_of_several_failures(codes: list[int], tried: int | None, expected: int) -> None:
    assert exits.code_of_several(codes, tried) == expected


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", 0),
        ("abc", 3),
        ("报告", 4),
        ("e\u0301", 1),
        ("ｱ", 1),
        ("Ａ", 2),
        ("🎉", 2),
        ("한글", 4),
        ("a报", 3),
    ],
)
def test_width_is_that_of_a_terminal(text: str, columns: int) -> None:
    assert width(text) == columns
    assert width(padded(text, 10)) == 10
    assert padded(text, 10, right=True).endswith(text)


@pytest.mark.parametrize(
    "text", ["short", "a long name with an end.pdf", "很长的名字很长的名字很长的名字.txt", "é" * 60]
)
@pytest.mark.parametrize("columns", [8, 12, 13, 30])
def test_a_shortened_name_fits_and_keeps_both_ends(text: str, columns: int) -> None:
    short = shortened(text, columns)
    assert width(short) <= columns
    if short != text:
        assert short[0] == text[0]
        assert short[-1] == text[-1]
        assert "..." in short


def test_columns_run_downwards_and_fit() -> None:
    names = [f"name{number}" for number in range(10)]
    lines = in_columns(names, 30)
    assert [line.split()[0] for line in lines] == names[: len(lines)]
    assert all(width(line) <= 30 for line in lines)
    assert in_columns([], 30) == []
    assert in_columns(["x" * 100, "y"], 30) == ["x" * 100, "y"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a", "a"),
        ("a/b", "b"),
        ("a/b/", "b"),
        ("/", ""),
        (".", ""),
        ("..", ""),
        ("a/..", ""),
        ("./", ""),
        ("/a//", "a"),
    ],
)
def test_names_of_paths(path: str, name: str) -> None:
    assert targets.name_of_remote(path) == name
    assert targets.name_of_local(path) == name


def test_windows_paths_have_names_too(monkeypatch: pytest.MonkeyPatch) -> None:
    import ntpath

    monkeypatch.setattr(os, "path", ntpath)
    monkeypatch.setattr(os, "sep", "\\")
    monkeypatch.setattr(os, "altsep", "/")
    for path, name in (
        (r"C:\a\b.txt", "b.txt"),
        ("C:/a/b/", "b"),
        ("C:", ""),
        ("C:\\", ""),
        (r"\\host\share\x", "x"),
    ):
        assert targets.name_of_local(path) == name
    monkeypatch.setattr(ntpath, "isdir", lambda path: False)
    for target in ("new\\", "new/"):
        assert targets.on_disk(target, several=True)("x") == ntpath.join(target, "x")
    with pytest.raises(ConfigError):
        targets.on_disk("new", several=True)


@pytest.mark.parametrize(
    ("directory", "name", "path"),
    [
        ("", "a", "a"),
        ("d", "a", "d/a"),
        ("d/", "a", "d/a"),
        ("/", "a", "/a"),
        ("d", "/a", "/a"),
        ("d", "", "d/"),
    ],
)
def test_join(directory: str, name: str, path: str) -> None:
    assert targets.join(directory, name) == path


def test_arguments_that_the_locale_could_not_decode_are_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    assert as_unicode("报告") == "报告"
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "ascii")
    assert as_unicode("报告".encode().decode("ascii", "surrogateescape")) == "报告"
    with pytest.raises(InvalidPath):
        as_unicode(b"bad\xff".decode("ascii", "surrogateescape"))


@pytest.mark.parametrize("time", [None, 2**63 - 1, -(2**63), 10**30])
def test_times_that_no_calendar_has_are_blank_or_a_date(time: int | None) -> None:
    assert len(moment(time)) == 16


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("", 2.0),
        ("0.5", 0.5),
        ("60", 60.0),
        ("0", 2.0),
        ("-1", 2.0),
        ("61", 2.0),
        ("nan", 2.0),
        ("soon", 2.0),
    ],
)
def test_how_long_completion_waits_is_a_setting_that_never_fails(
    monkeypatch: pytest.MonkeyPatch, given: str, seconds: float
) -> None:
    monkeypatch.setenv("FTPSVC_COMPLETION_TIMEOUT", given)
    assert completion_timeout() == seconds
