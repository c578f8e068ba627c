"""The pages themselves: what they link to exists."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def slug(heading: str) -> str:
    """The anchor that Markdown renderers give to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def headings(page: Path) -> set[str]:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    dead = []
    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in headings(target)):
            dead.append(link)
    assert dead == []


def promises() -> list[tuple[str, str]]:
    """The rows of docs/security.md: what is promised, and the tests that hold it."""
    _, _, table = (
        (REPOSITORY / "docs" / "security.md").read_text("utf-8").partition("### Which test holds it")
    )
    return re.findall(r"^\| ((?!promise|---).*) \| (.*) \|$", table, re.MULTILINE)


@pytest.mark.parametrize(("promise", "held"), promises())
def test_each_promise_names_tests_that_exist(promise: str, held: str) -> None:
    module = ""
    for name in re.findall(r"`([^`]+)`", held):
        if name.startswith("tests/"):
            module = (REPOSITORY / name).read_text("utf-8")
            assert re.search(r"^ *def test_", module, re.MULTILINE), f"{name} has no test"
        elif name.startswith(("test_", "Test")):
            assert re.search(rf"^ *(def|class) {name}\b", module, re.MULTILINE), f"there is no {name}"
    assert module, f"nothing holds {promise!r}"


def test_the_cases_of_identity_and_quota_are_promised() -> None:
    named = " ".join(promise for promise, _ in promises())
    for case in (*range(34, 41), 42, 43, 57):
        assert f"C{case}" in named
