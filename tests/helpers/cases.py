"""Which tests hold which case: read from the tests themselves, and written into docs/cases.md.

    python -m tests.helpers.cases        writes the column "held by" of docs/cases.md anew

A test holds a case when it has its number in its name (`test_c03_...`) or in its docstring (`CASES C03`).
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "cases.md"

_ROW = re.compile(r"^\| (C\d\d) \| (.*) \| (.*) \|$")


def cases_in(path: Path) -> dict[str, set[str]]:
    """Returns the tests of a file with the cases that each one holds."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            cases = {f"C{number}" for number in re.findall(r"(?<=_)c(\d\d)(?=_)", node.name)}
            found[node.name] = cases | set(re.findall(r"\bC\d\d\b", ast.get_docstring(node) or ""))
    return found


def collect() -> dict[str, list[str]]:
    """Returns the tests that hold each case, as `unit/test_x.py::test_y`, in the order of files and names."""
    held: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for name, cases in sorted(cases_in(path).items()):
            for case in cases:
                held.setdefault(case, []).append(f"{path.relative_to(TESTS).as_posix()}::{name}")
    return held


def rows(text: str) -> list[tuple[str, str, str]]:
    """Returns the rows of the page: case, what it is, what holds it."""
    matches = (_ROW.match(line) for line in text.splitlines())
    return [(match[1], match[2], match[3]) for match in matches if match]


def cell(tests: list[str]) -> str:
    """Returns what stands in the column for these tests: each file once, with its tests."""
    by_file: dict[str, list[str]] = {}
    for test in tests:
        file, _, name = test.partition("::")
        by_file.setdefault(file, []).append(f"`{name}`")
    return "; ".join(f"{file}: {', '.join(names)}" for file, names in by_file.items())


def named(text: str) -> list[str]:
    """Returns the tests that a cell names, as `collect` does."""
    found = []
    for part in text.split("; "):
        file, _, names = part.partition(": ")
        found += [f"{file}::{name}" for name in re.findall(r"`(\w+)`", names)]
    return found


def main() -> int:
    """Writes the column anew. A case that nothing holds keeps what the page says."""
    held = collect()
    lines = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        match = _ROW.match(line)
        if match and match[1] in held:
            lines.append(f"| {match[1]} | {match[2]} | {cell(held[match[1]])} |")
        else:
            lines.append(line)
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
