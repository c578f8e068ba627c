"""The table of settings in docs/server.md. `python -m tests.helpers.settings_table` writes it anew from the model."""

import enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ftpsvc.server.config import Settings, variable

PAGE = Path(__file__).resolve().parents[2] / "docs" / "server.md"
BEGIN = "<!-- settings: made from ftpsvc/server/config.py -->"
END = "<!-- settings: end -->"

FLAGS = {
    "root": "--root",
    "listen": "--listen",
    "guest": "--guest",
    "share": "--share",
    "durability": "--durability",
    "log.format": "--log-format",
    "log.level": "--log-level",
}


def rows(model: type[BaseModel] = Settings, within: str = "") -> list[tuple[str, str, str, str]]:
    """Name, unit, default and reason of each setting."""
    found: list[tuple[str, str, str, str]] = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += rows(field.annotation, f"{name}.")
            continue
        extra = field.json_schema_extra
        assert isinstance(extra, dict), f"{name} has no unit"
        assert field.description, f"{name} has no reason"
        found.append((within + name, str(extra["unit"]), shown(name, field.default), field.description))
    return found


def shown(name: str, default: Any) -> str:
    """A default as it is written in the file."""
    if default is None:
        return "unset"
    if name == "socket_mode":
        return f'`"{default:04o}"`'
    if isinstance(default, enum.Enum):
        default = default.value
    if isinstance(default, tuple):
        return "`[" + ", ".join(f'"{item}"' for item in default) + "]`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def table() -> str:
    """The table as Markdown."""
    lines = ["| setting | flag or variable | unit | default | reason |", "| --- | --- | --- | --- | --- |"]
    for name, unit, default, reason in rows():
        other = f"`{FLAGS[name]}`" if name in FLAGS else f"`{variable(name)}`"
        lines.append(f"| `{name}` | {other} | {unit} | {default} | {reason} |")
    return "\n".join(lines)


def main() -> None:
    head, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    tail = rest.partition(END)[2]
    PAGE.write_text(f"{head}{BEGIN}\n{table()}\n{END}{tail}", "utf-8")


if __name__ == "__main__":
    main()
