"""What `ftpsvc-server assignment add --template` does, and says (docs/homework.md)."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ftpsvc.accounts.console import say
from ftpsvc.homework import templating, times
from ftpsvc.homework.catalog import Catalog
from ftpsvc.homework.templating import Own

_LINE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


def own(catalog: Catalog, template: str, name: str | None, opens: str | None, due: str | None) -> Own:
    """Returns what makes a template an assignment of this server's.

    Args:
        catalog: What there is already.
        template: The template.
        name: The id; None is the template's name.
        opens: The opening, as it was typed; None is now.
        due: The due time, as it was typed.

    Raises:
        ConfigError: There is no such template, or it cannot be called so, or not have such dates.
    """
    templating.check(template)
    templating.check_id(name or template)
    zone = catalog.course().zone
    opening, until, close = templating.dates(
        times.parse(opens, zone) if opens is not None else None,
        times.parse(due, zone) if due is not None else None,
        zone,
        datetime.now(UTC),
    )
    return Own(name or template, _course(catalog), opening, until, close)


@contextmanager
def written(template: str, own: Own) -> Iterator[Path]:
    """Has a template written to a folder for the length of a block.

    Raises:
        ConfigError: It cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="ftpsvc-template-") as folder:
        made = Path(folder, own.id)
        templating.write(template, made, own)
        yield made


def write_into(folder: Path, template: str, own: Own) -> None:
    """Writes a template to a folder, and says what to do with it.

    Raises:
        ConfigError: It cannot be written, or something is there.
    """
    templating.write(template, folder, own)
    say(f"wrote the template {template} to {folder}, as the assignment {own.id}; nothing was added")
    say(f"hint: edit {folder}/assignment.toml and the pages in {folder}/handout")
    say(f"hint: then ftpsvc-server assignment check {folder}, and ftpsvc-server assignment add {folder}")


def say_next(own: Own) -> None:
    """Says what comes after an assignment was added."""
    say(f"hint: students find it under /handouts/{own.id}, and hand in with ftpsvc submit {own.id} FOLDER")
    say(f"hint: ftpsvc-grade run {own.id} grades what is there, ftpsvc-grade serve what comes")


def _course(catalog: Catalog) -> str:
    """Returns the course as the newest assignment has it, else by its title; "" where nobody said it."""
    there, _ = catalog.all()
    if there:
        return max(there, key=lambda one: one.open).course
    title = catalog.course().title
    return title if _LINE.fullmatch(title) else ""
