"""docs/homework.md: its examples are good files, and it names all that a file may have."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel

from ftpsvc.homework import course, extensions, model
from ftpsvc.homework.commands.assignment import assignment
from tests.helpers import assignments

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "homework.md").read_text("utf-8")


def test_its_examples_can_be_used(tmp_path: Path) -> None:
    homework, of_course, more_time = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    folder = assignments.write(tmp_path / "sums", text=homework)
    assert model.load(folder).points == 10
    (tmp_path / course.FILE).write_text(of_course, "utf-8")
    assert course.load(tmp_path).late_days == 4
    (folder / extensions.FILE).write_text(more_time, "utf-8")
    assert [one.user for one in extensions.load(folder)] == ["2026001", "*"]


def test_it_names_every_key_and_every_default_word() -> None:
    models: list[type[BaseModel]] = [
        model.Files, model.Late, model.Grading, model.Runtime, model.LimitTable, model.RunTest, model.PytestTest,
        model.ManualTest, model.FtpHomeworkTest, model.Similarity, model.Assignment, course.Course,
        extensions.Extension,
    ]  # fmt: skip
    keys = {field.alias or name for one in models for name, field in one.model_fields.items()}
    keys -= {"folder", "sha256"}  # of the object, not of the file
    ways = ("`{}`", "**[{}]**", "**[[{}]]**", "\n{} = ", "`{} = ")
    assert [key for key in sorted(keys) if not any(way.format(key) in PAGE for way in ways)] == []


def test_it_names_every_command_and_option() -> None:
    missing = []
    for name, command in assignment.commands.items():
        if f"`assignment {name}" not in PAGE:
            missing.append(name)
        missing += [
            option
            for parameter in command.params
            for option in parameter.opts
            if option.startswith("--") and option not in PAGE
        ]
    assert missing == []
