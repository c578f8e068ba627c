"""An assignment as a teacher writes it: `assignment.toml` and what lies beside it (docs/homework.md).

    FOLDER/assignment.toml   what this module reads
    FOLDER/handout/          what students get under /handouts/ID/
    FOLDER/starter/          what they start from; must not get full points
    FOLDER/solution/         the reference solution; must get full points
    FOLDER/tests/            what the tests use; students never see it

`load` is the one way to an `Assignment`: whatever is wrong with a file is told with its line, all at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from ftpsvc.homework import quantities
from ftpsvc.homework.globs import check_pattern, check_relative
from ftpsvc.homework.kit.rubric import POINTS, RUBRIC
from ftpsvc.homework.sandbox.base import Limits
from ftpsvc.homework.sandbox.choose import KINDS

FILE: Final = "assignment.toml"
HANDOUT: Final = "handout"
STARTER: Final = "starter"
SOLUTION: Final = "solution"
TESTS: Final = "tests"

ID: Final = r"[a-z0-9][a-z0-9._-]{0,39}"
"""What an assignment may be called: a folder's name on every system."""

LAST_YEAR: Final = 9000

Visibility: TypeAlias = Literal["visible", "after_due_date", "after_published", "hidden"]
"""When a student sees a test's result, in Gradescope's words."""


class Section(BaseModel):
    """A table of a file: strict, without unknown keys, and never changed."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("must carry an offset from UTC, as 2026-11-24T23:59:00+01:00")
    if not 1970 <= value.year <= LAST_YEAR:  # with room for every zone and span around it
        raise ValueError(f"must be in a year from 1970 to {LAST_YEAR}")
    return value


def _some_time(value: timedelta) -> timedelta:
    if value < timedelta(seconds=1):
        raise ValueError("must be 1 s or more")
    return value


def _no_dots_at_the_end(value: str) -> str:
    if value.endswith(".") or ".." in value:
        raise ValueError("must not end with a dot, nor have two in a row")
    return value


def _sandbox(value: str) -> str:
    if value == "none":
        raise ValueError('cannot be "none": an assignment never switches the sandbox off')
    if value not in KINDS:
        raise ValueError(f"must be one of {', '.join(KINDS)}")
    return value


Moment = Annotated[datetime, AfterValidator(_aware)]
Size = Annotated[int, BeforeValidator(quantities.size), Field(ge=0)]
Span = Annotated[timedelta, BeforeValidator(quantities.span)]
Id = Annotated[str, StringConstraints(pattern=f"^{ID}$"), AfterValidator(_no_dots_at_the_end)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Pattern = Annotated[str, AfterValidator(check_pattern)]
Relative = Annotated[str, AfterValidator(check_relative)]
Points = Annotated[float, Field(ge=0, le=1_000_000)]
Percent = Annotated[float, Field(ge=0, le=100)]
# TOML has arrays; what is kept is a tuple, which nobody changes.
AsTuple = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
Patterns = Annotated[tuple[Pattern, ...], AsTuple, Field(max_length=1000)]
Relatives = Annotated[tuple[Relative, ...], AsTuple, Field(max_length=1000)]
Words = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")], ...],
    AsTuple,
    Field(min_length=1, max_length=1000),
]


class Files(Section):
    """What may be handed in, checked at the door before anything is stored.

    Attributes:
        required: Patterns of which each must fit at least one file.
        optional: Patterns of further files.
        extra: What becomes of files that fit none: `drop` (left out, and named in the receipt), `refuse`, `keep`.
        max_files: Files of one hand-in.
        max_bytes: Of all its files together.
    """

    required: Patterns = ()
    optional: Patterns = ()
    extra: Literal["drop", "refuse", "keep"] = "drop"
    max_files: Annotated[int, Field(ge=1, le=1000)] = 100
    max_bytes: Size = 10 << 20


class Late(Section):
    """What being late costs (`ftpsvc.homework.lateness` has the rules).

    Attributes:
        grace: So much lateness costs nothing.
        upload_window: What was begun in time counts as in time if it is complete within this.
        per: Each started span of it costs `percent`.
        percent: Of the points; 0 costs nothing.
        max_percent: The most that is taken.
        late_days: Whether the student's late days (`course.toml`) are used before points are.
    """

    grace: Span = timedelta(0)
    upload_window: Span = timedelta(minutes=30)
    per: Annotated[Span, AfterValidator(_some_time)] = timedelta(days=1)
    percent: Percent = 0.0
    max_percent: Percent = 100.0
    late_days: bool = False


class Grading(Section):
    """How hand-ins are graded.

    Attributes:
        count: Which version counts.
        on: When grading begins: at each hand-in, once it is due, or only when a teacher says so.
        feedback_per_day: So many hand-ins of a day are graded at once; of further ones, which are accepted, the
            feedback waits. None is no limit.
        sandbox: Which one; `auto` is the first that works.
    """

    count: Literal["last-on-time", "last", "best"] = "last-on-time"
    on: Literal["hand-in", "due", "manual"] = "hand-in"
    feedback_per_day: Annotated[int, Field(ge=0)] | None = None
    sandbox: Annotated[str, AfterValidator(_sandbox)] = "auto"


class Runtime(Section):
    """What runs the students' programs.

    Attributes:
        python: The Python of `python3` in a test's command and of the tests' call stub; None is the first that runs
            in the sandbox. One in a virtual environment outside /usr is bound into the sandbox read-only.
    """

    python: Annotated[str, StringConstraints(pattern=r"^/[^\x00-\x1f]+$")] | None = None


class LimitTable(Section):
    """What a test may use (`sandbox.base.Limits`); None: as the assignment says, or the sandbox has it."""

    cpu: Annotated[float, Field(gt=0, le=86400)] | None = None
    wall: Annotated[float, Field(gt=0, le=86400)] | None = None
    memory: Annotated[Size, Field(gt=0)] | None = None
    processes: Annotated[int, Field(gt=0)] | None = None
    output: Annotated[Size, Field(gt=0)] | None = None
    file: Annotated[Size, Field(gt=0)] | None = None
    disk: Annotated[Size, Field(gt=0)] | None = None

    def given(self) -> dict[str, Any]:
        """Returns what is said here."""
        return self.model_dump(exclude_none=True)


@dataclass(frozen=True, slots=True)
class Compare:
    """How output is compared with what is expected.

    Attributes:
        kind: `exact`, `trim` (blanks at the ends of lines and empty lines at the end do not count), `tokens` (words,
            however they are spaced), `floats` (tokens, numbers within `tolerance`), `regex` (the expected text is a
            regular expression that all of the output has to match).
        tolerance: Of `floats`, absolute and relative; else 0.
    """

    kind: Literal["exact", "trim", "tokens", "floats", "regex"] = "trim"
    tolerance: float = 0.0


def _compare(value: object) -> object:
    if isinstance(value, Compare):
        return value
    if isinstance(value, str):
        kind, _, rest = value.partition("(")
        if kind in ("exact", "trim", "tokens", "regex") and not rest:
            return Compare(kind)  # type: ignore[arg-type]  # one of them, as the line above says
        if kind == "floats" and (not rest or rest.endswith(")")):
            try:
                tolerance = float(rest[:-1]) if rest else 1e-6
            except ValueError:
                tolerance = -1.0
            if 0 <= tolerance < float("inf"):
                return Compare("floats", tolerance)
    raise ValueError("must be exact, trim, tokens, regex or floats(1e-6), in quotation marks")


class Expect(Section):
    """What a program has to do.

    Attributes:
        stdout: What it writes; None where that, and `stdout_file`, does not matter.
        stdout_file: The same in a file of tests/.
        exit: The exit code that it ends with.
    """

    stdout: str | None = None
    stdout_file: Relative | None = None
    exit: Annotated[int, Field(ge=0, le=255)] = 0

    @model_validator(mode="after")
    def _one_of_them(self) -> "Expect":
        if self.stdout is not None and self.stdout_file is not None:
            raise ValueError("has stdout and stdout_file: say one of them")
        return self


class _Test(Section):
    """What tests of all kinds have.

    Attributes:
        name: Its name, of which there is one in an assignment.
        points: What it is worth.
        needs: Names of tests above it: if one of them fails, this one is not run.
        visibility: When a student sees its result.
        hint: Shown where it fails; empty is none.
        limits: Where they differ from the assignment's.
    """

    name: Line
    points: Points
    needs: Annotated[tuple[Line, ...], AsTuple] = ()
    visibility: Visibility = "visible"
    hint: Annotated[str, StringConstraints(max_length=2000)] = ""
    limits: LimitTable = LimitTable()


class RunTest(_Test):
    """Runs a program once, and judges outside the sandbox what it wrote.

    Attributes:
        run: The command; a first word `python3` or `python` is the assignment's Python.
        files: Files of tests/ that the program finds beside the hand-in, under the same name.
        stdin: What it reads; empty where there is `stdin_file`, or nothing.
        stdin_file: The same in a file of tests/.
        expect: What it has to do.
        compare: How its output is compared with what is expected.
    """

    kind: Literal["run"]
    run: Words
    files: Relatives = ()
    stdin: str = ""
    stdin_file: Relative | None = None
    expect: Expect = Expect()
    compare: Annotated[Compare, BeforeValidator(_compare)] = Compare()

    @model_validator(mode="after")
    def _one_input(self) -> "RunTest":
        if self.stdin and self.stdin_file is not None:
            raise ValueError("has stdin and stdin_file: say one of them")
        return self


class PytestTest(_Test):
    """Runs pytest outside the sandbox on tests that reach the hand-in through `student.call()` only.

    Attributes:
        path: The test file or folder, relative to the assignment's folder: `tests/test_it.py`.
        files: Files of tests/ that the student's code finds beside the hand-in.
    """

    kind: Literal["pytest"]
    path: Relative
    files: Relatives = ()


class ManualTest(_Test):
    """Points that a person gives (`ftpsvc-grade set`)."""

    kind: Literal["manual"]


Side: TypeAlias = Literal["server", "client"]


def _one_folder(value: str) -> str:
    if "/" in value or value.startswith("."):
        raise ValueError("must be the name of one folder of the hand-in, without a dot at the beginning")
    return value


def _rubric(value: object) -> object:
    """Returns the weights by number, of a table whose keys are text as all keys of TOML are."""
    if not isinstance(value, dict):
        raise ValueError("must be a table of points by number, as { 2 = 15, 7 = 30 }")
    weights: dict[int, float] = {}
    for key, weight in value.items():
        if str(key) not in map(str, RUBRIC):
            raise ValueError(f"the rubric has no point {key}, it has 1 to {len(RUBRIC)}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1000:
            raise ValueError(f"{key} is worth 0 to 1000 points")
        weights[int(key)] = float(weight)
    if not sum({**POINTS, **weights}.values()):
        raise ValueError("gives points to nothing")
    return weights


def _no_wall(value: LimitTable) -> LimitTable:
    if value.wall is not None:
        raise ValueError("cannot have wall here: patience and seconds say how long a server may take")
    return value


class FtpHomeworkTest(_Test):
    """Judges a file transfer server or client by the kit (docs/kit.md); each of its checks is a result.

    Attributes:
        points: What it is worth: more than nothing. The checks that are scored share it by the rubric.
        limits: Where they differ from the kit's (its `LIMITS`, of servers and of clients); the assignment's
            are for other kinds.
        run: The command that starts it. The word PORT becomes the port; a first word `python3` or `python` is the
            assignment's Python.
        side: What it is; of a client neither `profile`, `dialect` nor `shared` may be said.
        profile: What is asked of it: what section 9 of the protocol has, or all that can be measured.
        dialect: What it speaks: a name, or a file of tests/ that defines it; None is what the hand-in says, or base.
        shared: The folder of the hand-in that a server shares.
        rubric: Weights by the number of the rubric's point; a point that is not here has the kit's own.
        patience: Seconds that it may take for each thing that it has to do; None is the kit's own.
        seconds: Seconds for all checks, of which those that are not begun by then fail; None is the kit's own.
    """

    kind: Literal["ftp-homework"]
    points: Annotated[float, Field(gt=0, le=1_000_000)]
    limits: Annotated[LimitTable, AfterValidator(_no_wall)] = LimitTable()
    run: Words
    side: Side = "server"
    profile: Literal["base", "full"] = "base"
    dialect: Relative | None = None
    shared: Annotated[Relative, AfterValidator(_one_folder)] = "shared"
    rubric: Annotated[Mapping[int, float], BeforeValidator(_rubric)] = {}
    patience: Annotated[float, Field(ge=0.1, le=600)] | None = None
    seconds: Annotated[float, Field(ge=1, le=36000)] | None = None

    @model_validator(mode="after")
    def _of_its_side(self) -> Self:
        """A client speaks the base profile to our server, and shares no folder."""
        named = self.model_fields_set & {"profile", "dialect", "shared"}
        if self.side == "client" and named:
            raise ValueError(f"a client has no {min(named)}: that is a server's")
        return self


Test: TypeAlias = RunTest | PytestTest | ManualTest | FtpHomeworkTest


class Similarity(Section):
    """How hand-ins are compared with each other.

    Attributes:
        tool: The program for it.
        base: Folders of the assignment whose text is everybody's, as `starter/`.
    """

    tool: Literal["copydetect"] = "copydetect"
    base: Relatives = ()


class Assignment(Section):
    """An assignment. Made by `load`.

    Attributes:
        schema_version: Of the file.
        course: The course that it belongs to.
        id: Its name in commands and paths.
        title: Its name for people.
        open: When hand-ins are accepted, and the hand-out is shown, from.
        due: When it has to be handed in; later is late.
        close: From when on nothing is accepted; not before `due`. All three are everybody's: `Catalog.dates` adds a
            student's extensions.
        files: What may be handed in.
        late: What being late costs.
        grading: How it is graded.
        runtime: What runs students' programs.
        limits: What each test may use, where it does not say.
        tests: The tests, in the order of the file; at least one.
        similarity: How hand-ins are compared with each other; None: with the defaults.
        folder: Where it was loaded from.
        sha256: Hex digest of the bytes of its `assignment.toml`.
    """

    model_config = ConfigDict(populate_by_name=True, title="assignment")

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    course: Line
    id: Id
    title: Line
    open: Moment
    due: Moment
    close: Moment
    files: Files = Files()
    late: Late = Late()
    grading: Grading = Grading()
    runtime: Runtime = Runtime()
    limits: LimitTable = LimitTable()
    tests: Annotated[
        tuple[Annotated[Test, Field(discriminator="kind")], ...], AsTuple, Field(alias="test", min_length=1)
    ]
    similarity: Similarity | None = None
    folder: Path
    sha256: str

    @property
    def points(self) -> float:
        """What it is worth: the points of all tests."""
        return sum(test.points for test in self.tests)

    def test(self, name: str) -> Test:
        """Returns a test by its name.

        Raises:
            KeyError: There is none of that name.
        """
        for test in self.tests:
            if test.name == name:
                return test
        raise KeyError(name)

    def limits_of(self, test: Test) -> Limits:
        """Returns what a test may use: as it says, else as the assignment says, else as the sandbox has it."""
        return Limits(**(self.limits.given() | test.limits.given()))

    def test_file(self, name: str) -> Path:
        """Returns the file of tests/ with a relative name, as `files`, `stdin_file` and `stdout_file` give them."""
        return self.folder / TESTS / name

    @property
    def handout(self) -> Path:
        """What students get; the folder need not exist."""
        return self.folder / HANDOUT

    @property
    def starter(self) -> Path:
        """What students start from; the folder need not exist."""
        return self.folder / STARTER

    @property
    def solution(self) -> Path:
        """The reference solution; the folder need not exist."""
        return self.folder / SOLUTION


def load(folder: Path) -> Assignment:
    """Reads and checks an assignment, its file and what the file names.

    Args:
        folder: The folder that has `assignment.toml`.

    Raises:
        AssignmentFaults: Something is wrong; it has everything that is.
    """
    from ftpsvc.homework.loading import load_assignment

    return load_assignment(folder)


def values_of(assignment: Assignment) -> Mapping[str, Any]:
    """Returns an assignment as JSON values, without the place that it lies in."""
    return assignment.model_dump(mode="json", by_alias=True, exclude={"folder"}, exclude_none=True)
