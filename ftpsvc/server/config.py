"""The daemon's settings: one model with a unit, a default and a reason for each (docs/server.md is checked against it).

A setting is taken from the first that has it: a flag, an environment variable, the file, the default. The variables
begin with `FTPSVCD_`, and not with FTPSVC_SERVER_: FTPSVC_SERVER is the client's, and names the server that it dials.
Sections are joined by two underscores: `[limits] connections` is FTPSVCD_LIMITS__CONNECTIONS.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from ftpsvc.addresses import Address
from ftpsvc.exceptions import ConfigError
from ftpsvc.protocol.limits import MAX_PAGE, MAX_SIZE, MAX_WINDOW
from ftpsvc.storage.base import Durability
from ftpsvc.text import printable, quoted

ENV_PREFIX: Final = "FTPSVCD_"
_NESTED: Final = "__"
_CONFIG_VARIABLE: Final = f"{ENV_PREFIX}CONFIG"
"""Names the file; the command reads it."""

_MOST_SECONDS: Final = 1e6
"""The longest time-out, eleven days: what the system waits for is counted in milliseconds, in 31 bits."""
_MOST: Final = 2**31 - 1
"""The most of anything that has no limit of its own: the system counts in 31 bits."""

Guest = Literal["none", "read", "write"]


def _setting(default: Any, unit: str, reason: str, **limits: Any) -> Any:
    """Declares a setting: what its numbers count, and why it is there and has this default."""
    if isinstance(default, float):
        limits.setdefault("le", _MOST_SECONDS)
    elif "ge" in limits:
        limits.setdefault("le", _MOST)
    return Field(
        default, description=reason, json_schema_extra={"unit": unit}, validate_default=True, **limits
    )


def _words(value: object) -> object:
    """Lets an environment variable hold a list: its items are parted by spaces or commas."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _is_address(text: str) -> str:
    try:
        Address.parse(text, listening=True)
    except ConfigError as error:
        raise PydanticCustomError("address", "{reason}", {"reason": str(error), "hint": error.hint}) from None
    return text


def _in_octal(value: int) -> str:
    return f"{value:04o}"


def _octal(value: object) -> object:
    """Reads permissions as they are written: 660 or "0660" in a file or variable means 0o660, as for chmod."""
    if isinstance(value, str):
        try:
            return int(value, 8)
        except ValueError:
            raise ValueError("permissions are octal digits, as for chmod") from None
    return value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Log(_Section):
    """What is logged, and how."""

    format: Literal["plain", "json"] = _setting(
        "plain", "", "plain for people, json (one object a line) for programs"
    )
    level: Literal["debug", "info", "warning", "error"] = _setting(
        "info",
        "",
        "debug adds a line for each request; one for each of 10,000 small files is too much to be the rule",
    )


class Limits(_Section):
    """What is accepted at most."""

    connections: int = _setting(
        1024,
        "connections",
        "each costs a thread and up to three descriptors; one more is told busy at once",
        ge=1,
    )
    per_address: int = _setting(
        512, "connections", "from one address (IPv6: one /64 network): a whole class may sit behind one", ge=1
    )
    per_user: int = _setting(
        32, "connections", "of one user at the same time: some shells, and transfers in parallel", ge=1
    )
    strangers: int = _setting(
        512,
        "connections",
        "that have not logged in and are no guests; three quarters of `connections` at most: the rest is for users",
        ge=1,
    )
    backlog: int = _setting(
        1024,
        "connections",
        "that the kernel holds until they are accepted: a class that starts at once fits",
        ge=1,
    )
    window: int = _setting(
        256, "requests", "that a client may send ahead of the answers: small files need no round trip each", ge=1,
        le=MAX_WINDOW,
    )  # fmt: skip
    window_bytes: int = _setting(
        256 * 1024, "bytes", "of header in those requests: what the kernel buffers anyway", ge=65536
    )
    waiting: int = _setting(
        512,
        "uploads",
        "of small files that wait at once to be made durable together; each holds an open file",
        ge=0,
    )
    drain: int = _setting(
        64 << 20, "bytes", "of a refused upload that are read and dropped so that the connection stays usable", ge=0,
        le=MAX_SIZE,
    )  # fmt: skip
    file_size: int | None = _setting(
        None, "bytes", "largest file accepted; unset: what the disk holds", ge=0, le=MAX_SIZE
    )
    page: int = _setting(
        1000, "entries", "most entries of one page of a listing: a page is made in memory", ge=1, le=MAX_PAGE
    )
    buffers: int = _setting(
        64, "buffers", "of 1 MiB for transfers; further transfers at the same time get 64 KiB each", ge=1
    )
    rate: int | None = _setting(
        None, "bytes/s", "of payload in each direction for all users together, in fair shares; unset: no limit",
        ge=1024, le=MAX_SIZE,
    )  # fmt: skip
    user_rate: int | None = _setting(
        None, "bytes/s", "of payload in each direction for each user, over all connections; unset: no limit",
        ge=1024, le=MAX_SIZE,
    )  # fmt: skip
    min_rate: int | None = _setting(
        None, "bytes/s", "that a client must send or take in a transfer; unset: bad Wi-Fi is not an attack", ge=1,
        le=MAX_SIZE,
    )  # fmt: skip
    min_rate_window: float = _setting(
        30.0, "seconds", "of waiting for a client in transfers that its rate is the average of", gt=0
    )


class Tls(_Section):
    """What is shown to clients that connect by TLS."""

    certificate: Path | None = _setting(
        None,
        "",
        "PEM file with your own certificate and its chain; unset: one made at the first start, in the root",
    )
    key: Path | None = _setting(None, "", "PEM file with its private key; unset: it is in the same file")

    @model_validator(mode="after")
    def _key_needs_a_certificate(self) -> Self:
        if self.key is not None and self.certificate is None:
            raise ValueError("a key alone is of no use: name its certificate too")
        return self


class Audit(_Section):
    """How much of what was done is kept (docs/audit.md)."""

    file_size: int = _setting(
        16 << 20, "bytes", "of one file of the audit; then the next is begun", ge=65536, le=MAX_SIZE
    )
    files: int = _setting(
        20, "files", "that are kept, the one being written to among them; the oldest goes first", ge=2
    )


class Timeouts(_Section):
    """How long each phase may take."""

    handshake: float = _setting(
        10.0, "seconds", "for a whole TLS handshake, which takes two packets each way", gt=0
    )
    greeting: float = _setting(
        10.0, "seconds", "that who has not logged in, and is no guest, may stay silent", gt=0
    )
    login: float = _setting(
        120.0,
        "seconds",
        "from connecting to the log-in, however often it is tried and slowed: a person looks for the code",
        gt=0,
    )
    header: float = _setting(
        30.0, "seconds", "from the first byte of a header to its last, however it dribbles in", gt=0
    )
    stall: float = _setting(60.0, "seconds", "without one byte of progress in a transfer", gt=0)
    idle: float = _setting(600.0, "seconds", "between two requests: a person at a prompt thinks", gt=0)
    partial: float = _setting(
        7 * 86400.0,
        "seconds",
        "that an upload which broke off can be resumed; then what is held of it goes",
        ge=0,
        le=1e9,
    )
    grace: float = _setting(10.0, "seconds", "that running transfers get when the server stops", ge=0)


class Settings(BaseSettings):
    """All settings of a daemon. Made by `load`, or directly with keyword arguments (then nothing else is looked at)."""

    # No environment and no file by itself: a daemon inside a test or a program must not pick up what lies about.
    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=_NESTED,
        nested_model_default_partial_update=True,
    )

    root: Path = _setting(
        Path("server_storage"), "", "folder that everything is kept in; made at the first start"
    )
    listen: Annotated[
        tuple[Annotated[str, AfterValidator(_is_address)], ...], BeforeValidator(_words), NoDecode
    ] = _setting(
        ("ftpsvc://[::]:9021",),
        "",
        "addresses to listen on: by default every address of this machine, by TLS only",
        min_length=1,
    )
    guest: Guest | None = _setting(
        None,
        "",
        "what a client may do that does not log in: none, read or write; unset: read with share, else none",
    )
    share: Path | None = _setting(None, "", "existing folder that guests see as /; unset: public in the root")
    durability: Durability = _setting(
        Durability.FULL, "", "full: an answer means that it is on the disk; relaxed leaves the syncs out"
    )
    database: str | None = _setting(
        None, "", "SQLAlchemy URL of the accounts; unset: SQLite in the root", max_length=1000
    )
    plain_login: bool = _setting(
        False,
        "",
        "whether to log in over plain TCP from other machines: others on the way can read all that follows",
    )
    banner: str | None = _setting(
        None, "", "text that clients may show after connecting", min_length=1, max_length=1000
    )
    socket_mode: Annotated[int, BeforeValidator(_octal), PlainSerializer(_in_octal, when_used="json")] = (
        _setting(
            0o600, "octal", "permissions of an AF_UNIX socket; this user only by default", ge=0, le=0o777
        )
    )
    log: Log = Log()
    tls: Tls = Tls()
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    audit: Audit = Audit()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Takes what the constructor got and nothing else; `load` adds the environment and the file."""
        return (init_settings,)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """What to listen on."""
        return tuple(Address.parse(text, listening=True) for text in self.listen)

    @property
    def guest_may(self) -> Guest:
        """What guests may do, with the default worked out."""
        return self.guest or ("none" if self.share is None else "read")


class _FileSource(PydanticBaseSettingsSource):
    """The TOML file, read once by `load`."""

    def __init__(self, settings_cls: type[BaseSettings], values: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Is not used: the file is handed over as a whole."""
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(self._values)


def load(flags: Mapping[str, Any], file: Path | None = None) -> Settings:
    """Returns the settings from flags, environment, file and defaults, in this order of precedence.

    Args:
        flags: Values by name, sections as nested mappings; only those that were given.
        file: A TOML file, or None.

    Raises:
        ConfigError: A file that cannot be read, an unknown key, a value that cannot be used. The text says where.
    """
    values = {} if file is None else _read(file)
    _refuse_unknown_keys(Settings, values, str(file))
    _refuse_unknown_variables()

    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, _FileSource(settings_cls, values)

    try:
        return Loaded(**flags)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = [str(part) for part in first["loc"] if not isinstance(part, int)]
        reason = first["msg"].removeprefix("Value error, ")
        where = _origin(path, flags, values, file)
        hint = first.get("ctx", {}).get("hint")
        raise ConfigError(f"{where}: {reason[:1].lower()}{reason[1:]}", hint=hint) from None
    except SettingsError as error:
        raise ConfigError(f"an environment variable {ENV_PREFIX}... cannot be read: {error}") from None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from None


def _refuse_unknown_keys(
    model: type[BaseModel], values: Mapping[str, Any], file: str, within: str = ""
) -> None:
    for key, value in values.items():
        known = model.model_fields.get(key)
        if known is None:
            near = difflib.get_close_matches(key, model.model_fields, 1)
            raise ConfigError(
                f"{file}: there is no setting {quoted(within + key)}",
                hint=f"did you mean {within + near[0]}?" if near else "docs/server.md lists all settings",
            )
        section = known.annotation
        if isinstance(section, type) and issubclass(section, _Section):
            if not isinstance(value, dict):
                raise ConfigError(f"{file}: {key} is a section: write [{key}] and its settings beneath")
            _refuse_unknown_keys(section, value, file, f"{key}.")


def _refuse_unknown_variables() -> None:
    known = {_CONFIG_VARIABLE, *(variable(name) for name in _names(Settings))}
    for name in os.environ:
        if name.upper().startswith(ENV_PREFIX) and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, 1)
            raise ConfigError(
                f"the environment variable {printable(name)} is no setting",
                hint=f"did you mean {near[0]}?" if near else "docs/server.md lists all settings",
            )


def _names(model: type[BaseModel], within: str = "") -> list[str]:
    """Returns the names of all settings, with their section."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, _Section):
            names += _names(section, f"{name}.")
        else:
            names.append(within + name)
    return names


def variable(name: str) -> str:
    """Returns the environment variable of a setting: `limits.page` is FTPSVCD_LIMITS__PAGE."""
    return ENV_PREFIX + name.upper().replace(".", _NESTED)


def _origin(path: list[str], flags: Mapping[str, Any], values: Mapping[str, Any], file: Path | None) -> str:
    """Returns in words where the value of a setting came from."""
    name = ".".join(path)
    if _has(flags, path):
        return "--" + name.replace(".", "-")
    for candidate in os.environ:
        if candidate.upper() == variable(name):
            return candidate
    return f"{file}: {name}" if _has(values, path) else name


def _has(values: Mapping[str, Any], path: list[str]) -> bool:
    for part in path:
        if part not in values:
            return False
        values = values[part]
    return True
