"""The pages of the course: translated whole, with programs that exist, are shown as they are, and are tested."""

from __future__ import annotations

import ast
import doctest
import re
import sys
import textwrap
from pathlib import Path

import pytest

from tests.helpers.course import shown

REPOSITORY = Path(__file__).resolve().parents[2]
COURSE = REPOSITORY / "docs" / "course"
LESSONS = sorted(path for path in COURSE.iterdir() if re.match(r"\d\d-", path.name))
PAGES = [lesson / name for lesson in LESSONS for name in ("README.md", "README.zh-CN.md")]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAM = re.compile(r"\b([a-z_0-9]+\.py)\b")
TESTS = "\n".join(
    path.read_text(encoding="utf-8") for path in REPOSITORY.glob("tests/integration/test_course_*.py")
)
IMPORTED = {
    "04-hotline/dialogue.py",
    "06-sticky-packets/framing.py",
}  # run by what imports them, and named in no test


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _blocks(page: Path, kind: str) -> list[str]:
    return [body for language, body in BLOCK.findall(_text(page)) if language == kind]


def _headings(page: Path) -> list[str]:
    return re.findall(r"^(#+) ", BLOCK.sub("", _text(page)), re.MULTILINE)


def _programs_of(page: Path) -> list[str]:
    """What the page links to in its own folder, in order."""
    return re.findall(r"\]\(([\w./-]+\.py)\)", _text(page))


def _facts(page: Path) -> tuple[list[str], set[str], set[str]]:
    """What no translation changes: where its links lead, what it sets as code, and its numbers."""
    prose = BLOCK.sub("", _text(page))
    links = sorted(re.findall(r"\]\(([^)\s]+)\)", prose.replace("README.zh-CN.md", "README.md")))
    code = set(re.findall(r"`([^`\n]+)`", prose))
    numbers = re.findall(r"(?<![\w.])\d[\d.]*", re.sub(r"\]\([^)]*\)|`[^`]*`", "", prose))
    return links, code, {number.rstrip(".") for number in numbers}


def _name(path: Path) -> str:
    return path.relative_to(COURSE).as_posix()


def test_the_lessons_are_numbered_without_a_gap() -> None:
    assert [lesson.name[:2] for lesson in LESSONS] == [f"{number:02}" for number in range(11)]


@pytest.mark.parametrize("folder", [COURSE, *LESSONS], ids=lambda folder: folder.name)
def test_a_page_and_its_translation_say_the_same(folder: Path) -> None:
    english, chinese = folder / "README.md", folder / "README.zh-CN.md"
    assert _headings(english) == _headings(chinese)
    assert _programs_of(english) == _programs_of(chinese)
    for kind in ("python", "pycon", "console"):
        assert _blocks(english, kind) == _blocks(chinese, kind)
    assert len(_blocks(english, "text")) == len(_blocks(chinese, "text"))
    rows = [re.findall(r"^\| .*\|$", _text(page), re.MULTILINE) for page in (english, chinese)]
    assert len(rows[0]) == len(rows[1])
    items = [re.findall(r"^(?:\*|\d\.) ", _text(page), re.MULTILINE) for page in (english, chinese)]
    assert items[0] == items[1]
    assert re.search("[\u4e00-\u9fff]{4}", _text(chinese))
    assert _facts(english) == _facts(chinese)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_every_lesson_has_a_figure_exercises_and_what_goes_wrong(lesson: Path) -> None:
    page = lesson / "README.md"
    found = re.findall(r"^## (.*)$", _text(page), re.MULTILINE)
    assert found[:2] == ["The figure", "The idea"]
    assert found[-2:] == ["What goes wrong", "Exercises"]
    assert _blocks(page, "text")
    assert len(_text(page).split()) < 2000  # ten minutes


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_program_of_a_lesson_is_on_its_page_and_what_is_named_exists(page: Path) -> None:
    programs = {path.name for path in page.parent.glob("*.py")}
    assert set(_programs_of(page)) == programs
    everywhere = {path.name for path in COURSE.glob("*/*.py")} | {"strictjson.py", "paths.py"}
    assert set(PROGRAM.findall(_text(page))) <= everywhere
    started = re.findall(r"^\$ (?:sudo )?python (\S+)", "\n".join(_blocks(page, "console")), re.MULTILINE)
    assert set(started) <= programs


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_code_on_a_page_is_the_programs(page: Path) -> None:
    programs = [path.read_text(encoding="utf-8") for path in page.parent.glob("*.py")]
    for block in _blocks(page, "python"):
        assert any(block in program for program in programs), block
    for block in _blocks(page, "pycon"):
        test = doctest.DocTestParser().get_doctest(textwrap.dedent(block), {}, page.name, str(page), 0)
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def test_every_program_is_run_by_a_test_and_listed_on_the_way_in() -> None:
    programs = {_name(path) for path in COURSE.glob("*/*.py")}
    assert programs
    assert {name for name in programs - IMPORTED if f'"{name}"' not in TESTS} == set()
    for name in IMPORTED:
        importer = f"from {Path(name).stem} import"
        assert any(
            importer in path.read_text(encoding="utf-8") for path in (COURSE / name).parent.glob("*.py")
        )
    assert set(_programs_of(COURSE / "README.md")) - {f"../../{path}" for path in _tests()} == programs


def test_every_wrong_saying_has_an_experiment_whose_output_is_on_its_page() -> None:
    table = _text(COURSE / "README.md").partition("## Sayings")[2].partition("\n## ")[0]
    experiments = re.findall(r"\]\(([\w-]+)/(\w+\.py)\)", table)
    assert len(experiments) == 7
    for lesson, program in experiments:
        assert len(shown(lesson, program)) > 1


def _tests() -> list[str]:
    paths = REPOSITORY.glob("tests/integration/test_course_*.py")
    return [path.relative_to(REPOSITORY).as_posix() for path in paths]


def test_programs_say_how_they_are_run_and_need_the_standard_library_only() -> None:
    for program in sorted(COURSE.glob("*/*.py")):
        name = _name(program)
        tree = ast.parse(program.read_text(encoding="utf-8"))
        if name not in IMPORTED and program.name != "syntax_error.py":
            assert f"python {program.name}" in (ast.get_docstring(tree) or ""), name
        imported = {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        beside = {path.stem for path in program.parent.glob("*.py")}
        optional = {"matplotlib"} if program.name == "measure.py" else set()
        assert imported <= sys.stdlib_module_names | beside | optional, name
