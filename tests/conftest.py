"""Round every test: an environment of its own, and a check that it left no thread and no descriptor behind."""

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

from ftpsvc.homework.sandbox.base import Sandbox
from tests.helpers import leaks, sandboxes
from tests.helpers.counts import count, full

ROOT = Path(__file__).resolve().parent.parent

# No deadline: a loaded machine is not a fault. The database is named here because each test runs in a directory of
# its own, and hypothesis would keep its counter-examples there.
settings.register_profile(
    "ftpsvc",
    deadline=None,
    max_examples=count(100, 1000),
    database=DirectoryBasedExampleDatabase(ROOT / ".hypothesis" / "examples"),
)
settings.load_profile("ftpsvc")

_HOME_VARIABLES = ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA")
_KEPT = ("FTPSVC_FULL",)
_real_environment = dict(os.environ)


# A run that a script put into the background, or under nohup, ignores these, and what it starts would inherit that: no
# Ctrl-C would ever end a client whose test presses it. Where a handler stands, a program starts with the default.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda _number, _frame: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if full():
        return
    skip = pytest.mark.skip(reason="runs under `make test-full` only")
    for item in items:
        if item.get_closest_marker("full_only"):
            item.add_marker(skip)


def pytest_collection_finish() -> None:
    """Takes what is there before the first test out of the sight of the collector.

    `no_leaks` collects after every test. Walking all modules and five thousand collected tests each time cost more than
    the tests themselves: 0.1 s for each of them, half of the whole run.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves threads or descriptors behind, once it and all its fixtures have been torn down."""
    if request.node.get_closest_marker("leaks_allowed"):
        yield
        return
    before = leaks.Snapshot.take()
    yield
    gc.collect()  # a socket held only by a cycle is a leak of nobody's
    left_over = before.left_over(within=leaks.GRACE)
    if left_over:
        pytest.fail("left over after the test:\n" + "\n".join(left_over), pytrace=False)


@contextmanager
def _elsewhere(place: Path) -> Iterator[tuple[Path, Path]]:
    """Has for the length of a block an empty home and working directory, and none of the caller's settings."""
    home, work = place / "home", place / "work"
    home.mkdir()
    work.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("FTPSVC_", "FTPSVCD_", "XDG_")) and name not in _KEPT:
                patch.delenv(name)
        for name in _HOME_VARIABLES:
            patch.setenv(name, str(home))
        # A machine that stalls for seconds is not a fault, and two seconds are what a person waits, not a test.
        patch.setenv("FTPSVC_COMPLETION_TIMEOUT", "60")
        patch.chdir(work)
        yield home, work


@pytest.fixture(scope="session", autouse=True)
def shared_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps fixtures that many tests share, which run before `own_environment`, out of the repository and of the home.

    A hand-in keeps its receipt in the working directory, and a daemon serves from there, if nobody says otherwise: once
    such a receipt was in a commit. What such a fixture leaves in that directory now fails the last test.
    """
    with _elsewhere(tmp_path_factory.mktemp("shared")) as (_, work):
        yield
        left = sorted(os.listdir(work))
    assert not left, f"left in the working directory by a fixture that tests share, or at import: {left}"


@pytest.fixture(autouse=True)
def own_environment(no_leaks: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Gives each test an empty home and working directory, and none of the caller's settings.

    Those are the variables FTPSVC_*, FTPSVCD_* and XDG_*.

    Returns:
        The home directory. The working directory is `work` beside it, so a daemon with the default root
        `./server_storage` never writes into the repository.
    """
    with _elsewhere(tmp_path_factory.mktemp("env")) as (home, _):
        yield home


@pytest.fixture
def real_environment() -> dict[str, str]:
    """The environment that pytest was started with, for tests that run pip: the real home may hold its settings."""
    return dict(_real_environment)


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A temporary directory whose path is short: an AF_UNIX address holds about 100 bytes, `tmp_path` may be longer."""
    path = Path(tempfile.mkdtemp(prefix="ft"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def found_sandbox() -> Iterator[tuple[Sandbox, str | None]]:
    """The sandbox that works here and the bwrap to name to find it again; skips loudly where none does."""
    with sandboxes.working() as (sandbox, tried, program):
        if sandbox is None:
            pytest.skip(sandboxes.why_not(tried))
        yield sandbox, program


@pytest.fixture
def sandbox(found_sandbox: tuple[Sandbox, str | None]) -> Sandbox:
    """The sandbox that works here; skips loudly where none does."""
    return found_sandbox[0]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what tests counted (`record_property("counted", ...)`), also those that passed."""
    for report in terminalreporter.getreports("passed"):
        for key, value in report.user_properties:
            if key == "counted":
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {value}")
