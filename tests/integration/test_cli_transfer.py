"""`ftpsvc put`, `get` and `verify` against a real daemon."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from blake3 import blake3

from ftpsvc_client.cli.words import quoted
from tests.helpers.cli import Cli, listed
from tests.helpers.counts import count
from tests.helpers.cutter import cutter
from tests.helpers.names import USABLE


def count_of(names: Sequence[str], sampled: int) -> Sequence[str]:
    """Every so many of the names, or all under `make test-full`."""
    return names[:: max(1, len(names) // count(sampled, len(names)))]


def digest(data: bytes) -> str:
    return blake3(data).hexdigest()


# ---------------------------------------------------------------- put


def test_put_stores_a_file_and_shows_its_digest(cli: Cli, public: Path) -> None:
    (cli.here / "a.txt").write_bytes(b"hello\n")
    done = cli.ok("put", "a.txt")
    assert done.out == f"a.txt -> /a.txt  6 B  blake3 {digest(b'hello' + bytes([10]))}\n"
    assert (public / "a.txt").read_bytes() == b"hello\n"
    assert cli.ok("put", "-q", "a.txt").out == ""


def test_put_never_replaces_what_it_has_just_stored(cli: Cli, public: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"  # one name on the server
    for name in ("a/x", "b/x", "a/X", composed, decomposed, "s/t/f", "s/f"):
        (cli.here / name).parent.mkdir(parents=True, exist_ok=True)
        (cli.here / name).write_bytes(name.encode())
    (public / "d").mkdir()
    (public / "d" / "x").write_bytes(b"older, and to be replaced")
    done = cli("put", "a/x", "a/X", "b/x", "a/x", "./a/x", composed, decomposed, "--to", "d/")
    assert done.code == 20
    assert "d/x: exists already\nhint: a/x has got this name just now, which b/x would replace\n" in done.err
    assert done.err.count("exists already") == 2
    assert (public / "d" / "x").read_bytes() == b"a/x"
    assert (public / "d" / composed).read_bytes() == composed.encode()
    assert listed(public / "d") == sorted(["X", "x", composed])
    # What was not stored is in nobody's way, and the content of . has no name that could be taken.
    (public / "e").mkdir()
    assert cli("put", "nothing/x", "b/x", "--to", "e/").code == 20
    assert (public / "e" / "x").read_bytes() == b"b/x"
    cli.ok("put", "-r", "a/.", "s/.", "--to", "e")
    assert listed(public / "e") == ["X", "f", "t", "x"]


def test_get_never_replaces_what_it_has_just_fetched(cli: Cli, public: Path) -> None:
    for name in ("a/x", "b/x"):
        (public / name).parent.mkdir()
        (public / name).write_bytes(name.encode())
    (cli.here / "x").write_bytes(b"older, and to be replaced")
    done = cli("get", "--force", "**/x")
    assert done.code == 20
    assert (
        done.err
        == "ftpsvc: x: exists already\nhint: a/x has got this name just now, which b/x would replace\n"
    )
    assert (cli.here / "x").read_bytes() == b"a/x"
    cli.ok("get", "a/x", "a/x", "./a/x")


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_json_holds_no_half_characters(cli: Cli) -> None:
    (cli.here / "t").mkdir()
    Path(os.fsdecode(os.fsencode(cli.here) + b"/t/\xffx\xf0\x9f\x98\x80")).write_bytes(b"")
    done = cli("put", "--json", "-r", "t")
    assert done.code == 20
    assert done.records[0]["problems"][0]["path"] == "t/\\xffx\U0001f600"
    assert str(done.records).encode("utf-8")  # each half of a character would fail here


@pytest.mark.parametrize(("year", "stored"), [(-20, 0), (1960, 0), (2300, 2**63 - 1)])
def test_a_time_that_no_header_can_hold_becomes_the_nearest_one(
    cli: Cli, public: Path, year: int, stored: int
) -> None:
    seconds = (year - 1970) * 31_556_952
    for name in ("t/a", "b"):
        (cli.here / name).parent.mkdir(exist_ok=True)
        (cli.here / name).write_bytes(b"1")
        os.utime(cli.here / name, (seconds, seconds))
    cli.ok("put", "-r", "t", "b")
    info = (public / "t" / "a").stat(), (public / "b").stat()
    # A file system whose times end earlier keeps its own last one.
    assert info[0].st_mtime_ns == info[1].st_mtime_ns <= stored
    assert (info[0].st_mtime_ns == 0) == (stored == 0)
    cli.ok("ls", "-l", "t")


def test_put_as_json_has_the_documented_shape(cli: Cli) -> None:
    (cli.here / "a").write_bytes(b"1")
    (cli.here / "t").mkdir()
    (cli.here / "t" / "b").write_bytes(b"22")
    file, tree = cli.ok("put", "--json", "-r", "a", "t").records
    assert file == {
        "type": "file", "local": "a", "remote": "/a", "size": 1, "sent": 1, "algorithm": "blake3",
        "digest": digest(b"1"), "already_there": False,
    }  # fmt: skip
    assert tree == {
        "type": "tree", "local": "t", "remote": "t", "files": 1, "present": 0, "directories": 1, "size": 2,
        "problems": [], "skipped": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("target", "becomes"),
    [
        ("new", "new"),
        ("dir", "dir/a"),
        ("dir/", "dir/a"),
        ("dir/new", "dir/new"),
        ("/dir/..", "a"),
        (".", "a"),
    ],
)
def test_a_target_that_is_a_directory_means_into_it(
    cli: Cli, public: Path, target: str, becomes: str
) -> None:
    (public / "dir").mkdir()
    (cli.here / "a").write_bytes(b"1")
    cli.ok("put", "a", "--to", target)
    assert (public / becomes).read_bytes() == b"1"


def test_a_target_directory_that_is_missing_is_an_error_with_a_hint(cli: Cli, public: Path) -> None:
    (cli.here / "a").write_bytes(b"1")
    done = cli("put", "a", "--to", "missing/")
    assert done.code == 3
    assert "hint: the directory has to be there; `ftpsvc mkdir -p` makes it" in done.err
    assert listed(public) == []


def test_several_things_need_a_directory(cli: Cli, public: Path) -> None:
    (public / "dir").mkdir()
    for name in "ab":
        (cli.here / name).write_bytes(b"1")
    done = cli("put", "a", "b", "--to", "new")
    assert done.code == 2
    assert done.err.startswith("ftpsvc: several things cannot all become new")
    cli.ok("put", "a", "b", "--to", "dir")
    assert listed(public / "dir") == ["a", "b"]


def test_a_directory_needs_r_and_becomes_or_goes_into_the_target(cli: Cli, public: Path) -> None:
    (cli.here / "tree" / "sub").mkdir(parents=True)
    (cli.here / "tree" / "sub" / "f").write_bytes(b"1")
    (cli.here / "tree" / "empty").mkdir()
    refused = cli("put", "tree")
    assert refused.code == 5
    assert "hint: -r takes a directory" in refused.err
    cli.ok("put", "-r", "tree", "--to", "new")
    cli.ok("put", "-r", "tree/", "--to", "new")
    cli.ok("put", "-r", ".", "--to", "all")
    found = {str(path.relative_to(public)) for path in public.rglob("*")}
    assert {"new/sub/f", "new/empty", "new/tree/sub/f", "all/tree/sub/f"} <= found


def test_no_clobber_refuses(cli: Cli, public: Path) -> None:
    (cli.here / "a").write_bytes(b"new")
    (public / "a").write_bytes(b"old")
    assert cli("put", "--no-clobber", "a").code == 4
    assert (public / "a").read_bytes() == b"old"
    cli.ok("put", "a")
    assert (public / "a").read_bytes() == b"new"


def test_stdin_is_stored_under_the_name_that_to_gives(cli: Cli, public: Path) -> None:
    cli.ok("put", "-", "--to", "log", stdin=b"from a pipe")
    assert (public / "log").read_bytes() == b"from a pipe"
    assert cli("put", "-", stdin=b"x").code == 2


def test_a_pattern_that_no_shell_expanded_is_expanded(cli: Cli, public: Path) -> None:
    (cli.here / "deep" / "er").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "c.pdf", ".d.txt", "deep/er/e.txt"):
        (cli.here / name).write_bytes(b"1")
    cli.ok("put", "*.txt")
    assert listed(public) == ["a.txt", "b.txt"]
    cli.ok("put", "**/*.txt")
    assert listed(public) == ["a.txt", "b.txt", "e.txt"]


def test_a_pattern_that_matches_nothing_is_an_error_and_nothing_is_done(cli: Cli, public: Path) -> None:
    (cli.here / "a").write_bytes(b"1")
    done = cli("put", "a", "*.zip")
    assert (done.code, done.err) == (3, "ftpsvc: *.zip: matches nothing\n")
    assert listed(public) == []


def test_a_name_that_exists_is_no_pattern(cli: Cli, public: Path) -> None:
    for name in ("a[1].txt", "a1.txt", "*"):
        (cli.here / name).write_bytes(name.encode())
    cli.ok("put", "a[1].txt")
    cli.ok("put", "*")
    assert listed(public) == ["*", "a[1].txt"]
    (public / "b").write_bytes(b"not removed")
    cli.ok("rm", "*")
    assert listed(public) == ["a[1].txt", "b"]


def test_one_that_fails_does_not_keep_the_others_from_being_stored(cli: Cli, public: Path) -> None:
    for name in "abc":
        (cli.here / name).write_bytes(b"1")
    (public / "b").mkdir()
    done = cli("put", "a", "b", "c")
    assert done.code == 20
    assert (public / "a").is_file()
    assert (public / "c").is_file()
    assert len(done.lines) == 2
    assert cli("put", "nope", "nope too").code == 3


def test_a_tree_with_problems_says_so_and_stores_the_rest(cli: Cli, public: Path) -> None:
    (cli.here / "t").mkdir()
    (cli.here / "t" / "good").write_bytes(b"1")
    (cli.here / "t" / "back\\slash").write_bytes(b"1")
    (cli.here / "t" / "link").symlink_to("good")
    done = cli("put", "-r", "t")
    assert done.code == 20
    assert "t/back\\slash: " in done.err
    assert "left out: t/link" in done.err
    assert listed(public / "t") == ["good"]
    record = cli("put", "-r", "--json", "t").records[0]
    assert [(problem["path"], problem["code"]) for problem in record["problems"]] == [
        ("t/back\\slash", "invalid-path")
    ]
    assert [problem["path"] for problem in record["skipped"]] == ["t/link"]


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_another_algorithm_can_be_asked_for(cli: Cli, algorithm: str) -> None:
    (cli.here / "a").write_bytes(b"1")
    assert cli.ok("put", "--json", "--algorithm", algorithm, "a").records[0]["algorithm"] == algorithm
    assert cli("put", "--algorithm", "crc32", "a").code == 2


# ---------------------------------------------------------------- get


def test_get_fetches_a_file(cli: Cli, public: Path) -> None:
    (public / "a").write_bytes(b"hello")
    assert cli.ok("get", "a").out == f"a -> a  5 B  blake3 {digest(b'hello')}\n"
    assert (cli.here / "a").read_bytes() == b"hello"


def test_what_is_here_already_is_not_replaced_without_force(cli: Cli, public: Path) -> None:
    (public / "a").write_bytes(b"theirs")
    (cli.here / "a").write_bytes(b"theirs")
    assert "already there" in cli.ok("get", "a").out
    assert cli.ok("get", "--json", "a").records[0]["already_there"] is True
    (cli.here / "a").write_bytes(b"mine")
    done = cli("get", "a")
    assert (done.code, done.out) == (4, "")
    assert "--force" in done.err
    assert (cli.here / "a").read_bytes() == b"mine"
    cli.ok("get", "--force", "a")
    assert (cli.here / "a").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    ("target", "becomes"), [("new", "new"), ("dir", "dir/a"), ("dir/", "dir/a"), (".", "a")]
)
def test_a_local_target_that_is_a_directory_means_into_it(
    cli: Cli, public: Path, target: str, becomes: str
) -> None:
    (public / "a").write_bytes(b"1")
    (cli.here / "dir").mkdir()
    cli.ok("get", "a", "--to", target)
    assert (cli.here / becomes).read_bytes() == b"1"


def test_get_to_stdout_writes_nothing_but_the_content(cli: Cli, public: Path) -> None:
    content = bytes(range(256)) * 1000
    (public / "a").write_bytes(content)
    assert cli("get", "a", "--to", "-").raw_out == content
    (public / "d").mkdir()
    refused = cli("get", "-r", "d", "--to", "-")
    assert (refused.code, refused.out) == (5, "")
    assert refused.err.endswith("hint: to stdout go files only; --to says where a directory goes\n"), (
        "-r was given"
    )


def test_get_takes_patterns_and_several_names(cli: Cli, public: Path) -> None:
    (public / "d" / "e").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "c", ".h.txt", "d/e/f.txt", "d/g.txt"):
        (public / name).write_bytes(name.encode())
    cli.ok("get", "*.txt", "c")
    assert sorted(os.listdir(cli.here)) == ["a.txt", "b.txt", "c"]
    (cli.here / "deep").mkdir()
    cli.ok("get", "d/**/*.txt", "--to", "deep")
    assert sorted(os.listdir(cli.here / "deep")) == ["f.txt", "g.txt"]
    assert cli("get", "a.txt", "b.txt", "--to", "one").code == 2
    assert cli("get", "*.zip").code == 3
    assert cli("get", "d/*/nope").code == 3


def test_get_takes_trees_with_r_only(cli: Cli, public: Path) -> None:
    (public / "t" / "sub").mkdir(parents=True)
    (public / "t" / "sub" / "f").write_bytes(b"1")
    refused = cli("get", "t")
    assert (refused.code, list(cli.here.iterdir())) == (5, [])
    assert "hint: -r takes a directory" in refused.err
    cli.ok("get", "-r", "t")
    cli.ok("get", "-r", "t", "--to", "new")
    cli.ok("get", "-r", "t", "--to", "new")
    cli.ok("get", "-r", "/", "--to", "all")
    for name in ("t/sub/f", "new/sub/f", "new/t/sub/f", "all/t/sub/f"):
        assert (cli.here / name).read_bytes() == b"1"
    assert "1 already there" in cli.ok("get", "-r", "t").out


def test_a_tree_over_other_content_needs_force(cli: Cli, public: Path) -> None:
    (public / "t").mkdir()
    for name in "ab":
        (public / "t" / name).write_bytes(b"theirs")
    (cli.here / "t").mkdir()
    (cli.here / "t" / "a").write_bytes(b"mine")
    done = cli("get", "-r", "t")
    assert done.code == 20
    assert done.err.count("--force replaces it") == 1
    assert (cli.here / "t" / "a").read_bytes() == b"mine"
    assert (cli.here / "t" / "b").read_bytes() == b"theirs"
    cli.ok("get", "-r", "--force", "t")
    assert (cli.here / "t" / "a").read_bytes() == b"theirs"


def test_a_file_never_goes_into_a_local_directory_of_its_own_name(cli: Cli, public: Path) -> None:
    (public / "a").write_bytes(b"1")
    (cli.here / "a").mkdir()
    assert cli("get", "a").code == 5
    assert not list((cli.here / "a").iterdir())
    (cli.here / "b").mkdir()
    assert cli("get", "b").code == 3
    assert cli("get", "-r", "b").code == 3


# ---------------------------------------------------------------- names


def test_c22_names_that_look_like_options_or_shell_code_are_names(cli: Cli, public: Path) -> None:
    names = [
        "-rf",
        "--help",
        "$(touch owned)",
        "`id`",
        ";ls",
        "a b",
        "it's",
        'say "x"',
        "a|b",
        "!!",
        "&",
        "~",
        "*?",
    ]
    for name in names:
        (cli.here / name).write_bytes(name.encode())
    cli.ok("put", "--", *names)
    assert listed(public) == sorted(names)
    (cli.here / "back").mkdir()
    cli.ok("get", "--to", "back", "--", *names)
    assert {path.name: path.read_bytes() for path in (cli.here / "back").iterdir()} == {
        name: name.encode() for name in names
    }
    cli.ok("rm", "--", *names)
    assert listed(public) == []
    assert not (cli.here / "owned").exists()


def test_c22_a_newline_in_a_local_name_is_refused_and_escaped(cli: Cli, public: Path) -> None:
    (cli.here / "a\nb").write_bytes(b"1")
    done = cli("put", "a\nb")
    assert done.code == 12
    assert r"'a\nb'" in done.err
    assert listed(public) == []


def test_c30_every_usable_name_goes_round(cli: Cli, public: Path) -> None:
    (cli.here / "all").mkdir()
    for number, name in enumerate(USABLE):
        (cli.here / "all" / name).write_bytes(str(number).encode())
    # The server normalises to NFC: of two spellings of one name only one can be held.
    put = cli("put", "-r", "--json", "all").records[0]
    assert {problem["code"] for problem in put["problems"]} <= {"already-exists"}
    got = cli("get", "-r", "--json", "all", "--to", "back").records[0]
    assert (got["problems"], got["files"]) == ([], put["files"])
    for path in (cli.here / "back").iterdir():
        spellings = [
            other for other in (cli.here / "all").iterdir() if other.read_bytes() == path.read_bytes()
        ]
        assert len(spellings) == 1


@pytest.mark.parametrize("name", count_of(USABLE, 8))
def test_c30_each_usable_name_is_an_argument(cli: Cli, name: str) -> None:
    (cli.here / "x").write_bytes(name.encode())
    cli.ok("put", "x", "--to", "./" + name)
    assert cli.ok("get", "--to", "-", "./" + name).raw_out == name.encode()


def test_c30_every_usable_name_is_a_word_of_the_shell(cli: Cli) -> None:
    (cli.here / "back").mkdir()
    script = []
    for number, name in enumerate(USABLE):
        (cli.here / str(number)).write_bytes(name.encode())
        script.append(f"put {number} --to {quoted('./' + name, escapes=True)}")
        script.append(f"get {quoted('./' + name, escapes=True)} --to back/{number}")
    cli.ok("shell", "-q", stdin="\n".join(script).encode())
    assert [(cli.here / "back" / str(number)).read_bytes().decode() for number in range(len(USABLE))] == list(
        USABLE
    )


def test_c08_an_empty_local_name_is_told_as_one(cli: Cli, public: Path) -> None:
    for arguments in (("put", ""), ("put", "-r", ""), ("sync", "", ":x")):
        done = cli(*arguments)
        assert (done.code, done.err) == (12, "ftpsvc: '' is not a usable name: it is empty\n"), arguments
    assert listed(public) == []


def test_c30_a_local_name_that_is_not_unicode_is_refused_by_its_bytes(cli: Cli, public: Path) -> None:
    with open(os.path.join(os.fsencode(cli.here), b"bad\xff"), "wb"):
        pass
    done = cli("put", b"bad\xff")
    assert done.code == 12
    assert done.err == "ftpsvc: 'bad\\xff' is not a usable name: it is not valid Unicode\n"
    (cli.here / "t").mkdir()
    with open(os.path.join(os.fsencode(cli.here), b"t", b"bad\xff"), "wb"):
        pass
    assert cli("put", "-r", "t").code == 20


# ---------------------------------------------------------------- verify


def test_verify_tells_sound_new_and_damaged_files_apart(cli: Cli, public: Path) -> None:
    (cli.here / "t").mkdir()
    for name in ("good", "bad"):
        (cli.here / "t" / name).write_bytes(b"content")
    cli.ok("put", "-q", "-r", "t")
    (public / "t" / "byhand").write_bytes(b"new")
    os.utime(public / "t" / "byhand", (1e9, 1e9))
    assert [line.split()[0] for line in cli.ok("verify", "-r", "t").lines] == ["ok", "new", "ok"]

    before = (public / "t" / "bad").stat()
    (public / "t" / "bad").write_bytes(b"CONTENT")
    os.utime(public / "t" / "bad", ns=(before.st_atime_ns, before.st_mtime_ns))
    done = cli("verify", "-r", "t")
    assert done.code == 10
    assert [line.split()[0] for line in done.lines] == ["ok", "ok"]
    assert "t/bad: content does not match its digest" in done.err
    assert cli("verify", "t/bad").code == 10
    record = cli.ok("verify", "--json", "t/good").records[0]
    assert record == {
        "path": "/t/good", "algorithm": "blake3", "digest": digest(b"content"), "size": 7, "recorded": True,
    }  # fmt: skip
    assert cli("verify", "t").code == 5


@pytest.mark.parametrize("verb", ["put", "get"])
def test_the_same_command_goes_on_with_a_tree_that_was_to_get_a_new_name(
    verb: str, cli: Cli, public: Path
) -> None:
    source, target = (cli.here, public) if verb == "put" else (public, cli.here)
    names = [f"{number:02}" for number in range(30)]
    (source / "t").mkdir()
    for name in names:
        (source / "t" / name).write_bytes(os.urandom(100_000))
    assert cli.url is not None
    with cutter(cli.url) as net:
        net.cuts_up, net.cuts_down = ([1_000_000], []) if verb == "put" else ([], [1_000_000])
        command = f"{verb} -r t --to new\n"
        done = Cli(cli.here, net.url)("shell", "--retries=0", stdin=f"-{command}{command}{command}".encode())
    assert done.code == 0
    whole, again = done.lines
    assert whole.startswith("t -> new  ")
    assert again.startswith("t -> new/t  30 files, ")
    assert listed(target / "new") == [*names, "t"]
