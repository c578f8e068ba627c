"""Settings: each is documented, and each mistake says where it is."""

from pathlib import Path

import pytest

from ftpsvc.exceptions import ConfigError
from ftpsvc.server.config import Limits, Settings, load, variable
from ftpsvc.storage.base import Durability
from tests.helpers.settings_table import BEGIN, END, FLAGS, PAGE, rows, table


def test_the_page_has_each_setting_with_unit_default_and_reason() -> None:
    text = PAGE.read_text("utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == table(), (
        "python -m tests.helpers.settings_table"
    )


def test_every_setting_can_be_reached() -> None:
    names = [row[0] for row in rows()]
    assert set(FLAGS) <= set(names)
    assert "limits.connections" in names
    assert variable("limits.connections") == "FTPSVCD_LIMITS__CONNECTIONS"


def test_no_variable_is_one_of_the_clients() -> None:
    assert not [name for name, *_ in rows() if variable(name).startswith("FTPSVC_")]


def test_the_defaults_are_careful() -> None:
    settings = Settings()
    assert settings.guest_may == "none"
    assert settings.durability is Durability.FULL
    assert [str(address) for address in settings.addresses] == ["ftpsvc://[::]:9021"]
    assert settings.limits.per_address == 512
    assert settings.limits.backlog >= 1024
    assert settings.limits.drain == 64 << 20


def test_a_shared_folder_is_read_only_unless_said_otherwise(tmp_path: Path) -> None:
    assert Settings(share=tmp_path).guest_may == "read"
    assert Settings(share=tmp_path, guest="write").guest_may == "write"
    assert Settings(share=tmp_path, guest="none").guest_may == "none"


def test_settings_made_in_a_program_look_at_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTPSVCD_LIMITS__PAGE", "7")
    assert Settings().limits.page == 1000
    assert load({}).limits.page == 7


def test_precedence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text("guest = 'read'\n[limits]\npage = 1\nwindow = 2\nbuffers = 3\n[log]\nlevel = 'error'\n")
    monkeypatch.setenv("FTPSVCD_LIMITS__PAGE", "10")
    monkeypatch.setenv("FTPSVCD_LIMITS__WINDOW", "20")
    settings = load({"limits": {"page": 100}, "log": {"format": "json"}}, file)
    assert settings.limits == Limits(page=100, window=20, buffers=3)
    assert (settings.log.format, settings.log.level) == ("json", "error")
    assert settings.guest == "read"


@pytest.mark.parametrize(
    "text", ["ftpsvc+tcp://[::1]:0 ftpsvc+tcp://h:5", "ftpsvc+tcp://[::1]:0,ftpsvc+tcp://h:5"]
)
def test_a_list_in_a_variable(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("FTPSVCD_LISTEN", text)
    assert [str(address) for address in load({}).addresses] == ["ftpsvc+tcp://[::1]:0", "ftpsvc+tcp://h:5"]


@pytest.mark.parametrize(("text", "mode"), [("0660", 0o660), ("600", 0o600), ("0o640", 0o640)])
def test_permissions_are_octal(monkeypatch: pytest.MonkeyPatch, text: str, mode: int) -> None:
    monkeypatch.setenv("FTPSVCD_SOCKET_MODE", text)
    assert load({}).socket_mode == mode


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("FTPSVCD_LIMITS__PAGE", "many", "FTPSVCD_LIMITS__PAGE: input should be a valid integer"),
        ("FTPSVCD_LIMITS__PAGE", "0", "FTPSVCD_LIMITS__PAGE: input should be greater"),
        ("FTPSVCD_TIMEOUTS__IDLE", "inf", "FTPSVCD_TIMEOUTS__IDLE: input should be a finite number"),
        ("FTPSVCD_TIMEOUTS__IDLE", "-1", "greater than 0"),
        ("FTPSVCD_SOCKET_MODE", "rw", "octal"),
        ("FTPSVCD_SOCKET_MODE", "7777", "less than or equal"),
        ("FTPSVCD_LISTEN", "localhost", "no scheme"),
        ("FTPSVCD_LISTEN", "", "at least 1 item"),
        ("FTPSVCD_DURABILITY", "none", "FTPSVCD_DURABILITY"),
        ("FTPSVCD_LIMITS", "{}", "FTPSVCD_LIMITS is no setting"),
        ("FTPSVCD_ROOTS", "x", "FTPSVCD_ROOTS is no setting"),
    ],
)
def test_a_bad_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=complaint):
        load({})


def test_a_bad_flag_is_named() -> None:
    with pytest.raises(ConfigError, match=r"--listen: .* no scheme") as caught:
        load({"listen": ("localhost:9",)})
    assert caught.value.hint == "write ftpsvc://localhost:9"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load({}, tmp_path / "missing.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load({}, tmp_path / "bytes.toml")


@pytest.mark.parametrize(
    "text", ["root = 7", "guest = ['read']", "listen = []", "limits.page = '1x'", "log.level = 7"]
)
def test_a_value_of_another_type_is_an_error_with_file_and_key(tmp_path: Path, text: str) -> None:
    file = tmp_path / "f.toml"
    file.write_text(text)
    key = text.partition(" =")[0]
    with pytest.raises(ConfigError, match=f"f.toml: {key}: "):
        load({}, file)
