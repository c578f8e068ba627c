"""Times as teachers type and read them."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.model import LAST_YEAR


def parse(text: str, zone: tzinfo | None) -> datetime:
    """Returns a time that was typed: `2026-11-26T23:59+01:00`, or without the offset in the zone of the course.

    Raises:
        ConfigError: It is none, has no time of the day, or nobody said which zone it is in.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        found = None
    if found is None or len(text.strip()) <= len("2026-11-26") or not 1970 <= found.year <= LAST_YEAR:
        raise ConfigError(f"{text!r} is no date with a time", hint='write "2026-11-26 23:59"')
    if found.tzinfo is not None:
        return found
    if zone is None:
        raise ConfigError(
            f"{text!r} does not say in which time zone",
            hint='write the offset, as "2026-11-26 23:59+01:00", or set time_zone in course.toml',
        )
    return found.replace(tzinfo=zone)


def shown(moment: datetime, zone: tzinfo | None = None) -> str:
    """Returns a time for a person: in a zone (None: this machine's), and in UTC where that is another time."""
    local = moment.astimezone(zone)
    text = local.strftime("%a %Y-%m-%d %H:%M:%S" if local.second else "%a %Y-%m-%d %H:%M")
    universal = moment.astimezone(UTC)
    if not local.utcoffset():
        return f"{text} UTC"
    same_day = local.date() == universal.date()
    return f"{text} {local.strftime('%z')} ({universal.strftime('%H:%M' if same_day else '%a %H:%M')} UTC)"
