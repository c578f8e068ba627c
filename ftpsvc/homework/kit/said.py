"""Sentences of the kit's reports: written in English, and shown in another language where that is asked for.

A sentence is a `str` that also remembers what it was made of, so whoever raises it needs to know nothing of languages
and whoever shows it chooses one. What a server or client said itself is never translated.
"""

from __future__ import annotations

from typing import Final, Literal, Self, TypeAlias

from ftpsvc.homework.kit.chinese import CHINESE

Language: TypeAlias = Literal["en", "zh"]

LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")


class Said(str):
    """A sentence in English, made by `said`.

    Attributes:
        template: What it was made of.
        values: What stands in its places; a sentence among them is translated too.
    """

    __slots__ = ("template", "values")
    template: str
    values: dict[str, object]

    def __new__(cls, template: str, values: dict[str, object]) -> Self:
        """Makes the sentence in English."""
        made = super().__new__(cls, template.format(**values))
        made.template, made.values = template, values
        return made


def said(template: str, /, **values: object) -> Said:
    """Returns a sentence. The template is a literal, so that a test finds it and what it becomes in Chinese.

    Args:
        template: English, with places as of `str.format`.
        values: What stands in the places.
    """
    return Said(template, values)


def shown(text: str, language: Language) -> str:
    """Returns a sentence in a language; what has no translation, as what a server said, stays as it is."""
    if language == "en":
        return str(text)
    if isinstance(text, Said):
        values = {
            name: shown(value, language) if isinstance(value, str) else value
            for name, value in text.values.items()
        }
        return CHINESE.get(text.template, text.template).format(**values)
    return CHINESE.get(text, text)
