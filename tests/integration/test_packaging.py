"""What is shipped: built for real from a copy of the tree, looked into, installed and started."""

import os
import shutil
import site
import stat
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CONSTRAINTS = REPOSITORY / "constraints.txt"
BIN = "Scripts" if os.name == "nt" else "bin"


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Runs a command to its end; a failure shows what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        env=env,
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, with what a daemon and its users would have left in it."""
    copy = tmp_path_factory.mktemp("packaging") / "tree"
    ignore = shutil.ignore_patterns(
        ".git", ".venv*", "dist", "build", "__pycache__", ".*_cache", ".hypothesis"
    )
    shutil.copytree(REPOSITORY, copy, ignore=ignore, symlinks=True)
    planted = (
        "server_storage/essay.txt",
        "server_storage/.ftpsvc/key.pem",
        "server_storage/users/alice/a.py",
    )
    for name in (*planted, "client/notes.txt", "client/scratch/__init__.py", "roster.csv"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("private")
    return copy


@pytest.fixture(scope="module")
def built(tree: Path) -> tuple[Path, Path]:
    """Wheel and sdist of that copy; the wheel is built from the sdist, as `make wheel` does."""
    out = tree.parent / "dist"
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def test_the_wheel_holds_the_two_packages_and_nothing_else(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        names = wheel.namelist()
    version = built[0].name.split("-")[1]
    assert {name.split("/")[0] for name in names} == {
        "ftpsvc",
        "ftpsvc_client",
        f"ftpsvc-{version}.dist-info",
    }
    assert {"ftpsvc/py.typed", "ftpsvc_client/py.typed"} <= set(names)


def test_the_wheel_holds_every_module_of_the_tree(built: tuple[Path, Path], tree: Path) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    packages = ((tree / "ftpsvc", tree), (tree / "client" / "ftpsvc_client", tree / "client"))
    expected = {
        path.relative_to(base).as_posix()
        for package, base in packages
        for path in package.rglob("*")
        if path.is_file()
    }
    assert names == expected


def test_the_sdist_ships_nothing_that_users_stored(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as sdist:
        names = {member.name.partition("/")[2] for member in sdist.getmembers() if member.isfile()}
    assert [name for name in names if name.startswith("server_storage/")] == ["server_storage/.gitignore"]
    assert not [name for name in names if "scratch" in name or name.endswith(("notes.txt", "roster.csv"))]
    assert {
        "Makefile",
        "constraints.txt",
        "LICENSE",
        ".ci/run",
        "tests/conftest.py",
        "docs/install.md",
    } <= names


TEMPLATE = "ftpsvc/homework/templates/ftp-homework"
LINKED = {
    f"{TEMPLATE}/solution/server.py": "docs/course/10-homework/base_server.py",
    f"{TEMPLATE}/solution/client.py": "docs/course/10-homework/base_client.py",
    f"{TEMPLATE}/handout/protocol.md": "docs/protocol.md",
}
"""Files of the template that are links in the repository: there is one copy of them."""


def test_the_links_of_a_template_are_files_in_the_wheel_and_lead_somewhere_in_the_sdist(
    built: tuple[Path, Path], tree: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        for name, source in LINKED.items():
            assert wheel.read(name) == (tree / source).read_bytes()
            assert stat.S_ISREG(wheel.getinfo(name).external_attr >> 16)
    run("tar", "-xf", built[1], "-C", tmp_path)
    (unpacked,) = tmp_path.iterdir()
    for name, source in LINKED.items():
        assert (unpacked / name).read_bytes() == (tree / source).read_bytes()


def environment_with(wheel: Path, where: Path) -> Path:
    """Makes a virtual environment with the wheel in it, and the dependencies of the environment that runs the tests.

    Returns:
        Its folder of programs. Nothing is downloaded. The tree under test is not importable there: a path file
        that is found through another one is not read.
    """
    venv.create(where, with_pip=True)
    programs = where / BIN
    run(programs / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    purelib = run(programs / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(purelib, "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return programs


def test_the_commands_start_from_the_installed_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    programs = environment_with(built[0], tmp_path / "venv")
    version = built[0].name.split("-")[1]
    where = run(programs / "python", "-c", "import ftpsvc_client; print(ftpsvc_client.__file__)").strip()
    assert Path(where).is_relative_to(tmp_path)
    for command in ("ftpsvc", "ftpsvc-server", "ftpsvc-grade"):
        assert version in run(programs / command, "--version").split()
    # Its templates came along, and what installers leave beside programs does not get to students.
    run(programs / "python", "-m", "compileall", "-q", Path(where).parent.parent / TEMPLATE)
    root = tmp_path / "root"
    said = run(programs / "ftpsvc-server", "assignment", "--root", root, "add", "--template", "ftp-homework")
    assert "added ftp-homework: 2 tests, 100 points" in said
    made = {path.relative_to(root).as_posix() for path in root.glob("assignments/ftp-homework/*/*")}
    assert {
        f"{TEMPLATE.rpartition('/')[2]}/{part}" for part in ("solution/server.py", "handout/server.py")
    } <= {name.removeprefix("assignments/") for name in made}
    assert not [name for name in made if "__pycache__" in name]


@pytest.mark.full_only
@pytest.mark.timeout(600)
def test_a_student_gets_the_client_and_none_of_the_daemons_dependencies(
    built: tuple[Path, Path], tmp_path: Path, real_environment: dict[str, str]
) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / BIN
    pip = (programs / "python", "-m", "pip", "install", "--quiet", "--constraint", CONSTRAINTS)
    run(*pip, built[0], env=real_environment)
    assert run(programs / "ftpsvc", "--version").split()[-1] == built[0].name.split("-")[1]
    installed = run(programs / "python", "-m", "pip", "freeze").lower()
    assert "pydantic==" in installed
    assert "pydantic-settings" not in installed
    # The daemon says what it needs instead of showing a traceback.
    refused = subprocess.run([programs / "ftpsvc-server", "--version"], capture_output=True, text=True)
    assert "Traceback" not in refused.stderr
    if refused.returncode:
        assert "[server]" in refused.stderr
    run(*pip, f"{built[0]}[server]", env=real_environment)
    assert run(programs / "ftpsvc-server", "--help")


@pytest.mark.full_only
@pytest.mark.timeout(1800)
def test_the_unit_and_contract_tests_pass_against_the_installed_wheel(
    built: tuple[Path, Path], tree: Path, tmp_path: Path
) -> None:
    programs = environment_with(built[0], tmp_path / "venv")
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(tree / "pyproject.toml", bare)
    for folder in ("tests", "docs"):
        shutil.copytree(tree / folder, bare / folder)
    tests = ["tests/unit", "tests/contract"]
    # Three compare pages with the sources, which are left out here on purpose.
    tests += [f"--ignore=tests/unit/test_{page}.py" for page in ("docs", "cases_page", "protocol_page")]
    # With sampled counts: what the wheel leaves out shows at once, and the full ones run beside this already.
    sampled = {key: value for key, value in os.environ.items() if key != "FTPSVC_FULL"}
    command: list[str | Path] = [programs / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    output = run(*command, cwd=bare, env=sampled)
    assert " passed" in output
