"""The error tree, and the way of each error over the wire and back."""

import inspect
import json
from typing import Any

import pytest

from ftpsvc import exceptions
from ftpsvc.exceptions import BY_CODE, FtpsvcError, RemoteError, from_answer

SAMPLES: dict[str, Any] = {
    "path": "/a/b", "reason": "for a reason", "name": "a\\b", "length": 70000, "limit": 65536, "requested": 2 << 30,
    "used": 4 << 30, "available": 1 << 30, "offset": 17, "held": 9, "phase": "a header", "seconds": 2.5,
    "algorithm": "blake3", "expected": "00", "actual": "ff", "note": "{}", "signature": "signed",
}  # fmt: skip


def sample(cls: type[FtpsvcError]) -> FtpsvcError:
    names = list(inspect.signature(cls).parameters)
    return cls(**{name: SAMPLES[name] for name in names if name in SAMPLES})


def every_class() -> list[type[FtpsvcError]]:
    found = [FtpsvcError]
    for cls in found:
        found += cls.__subclasses__()
    return found


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_an_error_comes_back_over_the_wire_as_it_went(code: str) -> None:
    error = sample(BY_CODE[code])
    fields = json.loads(json.dumps(error.wire()))
    back = from_answer(error.code, str(error), fields, fatal=True, retry=not error.retry)
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert back.wire() == error.wire()
    assert back.fatal
    assert back.retry is not error.retry


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_wire_fields_are_attributes_and_arguments(code: str) -> None:
    cls = BY_CODE[code]
    error = sample(cls)
    assert cls.code == code
    assert set(cls.wire_fields) <= set(inspect.signature(cls).parameters)
    assert set(error.wire()) == set(cls.wire_fields)
    assert all(hasattr(error, name) for name in cls.wire_fields)


@pytest.mark.parametrize("code", sorted(BY_CODE))
@pytest.mark.parametrize("rubbish", [None, True, [], {}, "text", -1, 10**30, 1.5])
def test_fields_of_another_type_are_not_believed(code: str, rubbish: object) -> None:
    cls = BY_CODE[code]
    fields = dict.fromkeys(cls.wire_fields, rubbish)
    error = from_answer(code, "the server's sentence", fields, fatal=False, retry=False)
    assert isinstance(error, cls | RemoteError)
    str(error)
    for name, value in error.wire().items():
        assert not isinstance(value, bool), name


def test_an_unknown_code_keeps_the_servers_sentence() -> None:
    error = from_answer("made-up", "something\x1b[31m odd", {"limit": 1}, fatal=False, retry=True)
    assert isinstance(error, RemoteError)
    assert error.remote_code == "made-up"
    assert error.retry
    assert "something\\x1b[31m odd" in str(error)


def test_a_missing_number_keeps_the_servers_sentence() -> None:
    error = from_answer("quota-exceeded", "no room for it", {"path": "/x"}, fatal=False, retry=False)
    assert isinstance(error, RemoteError)
    assert error.remote_code == "quota-exceeded"
    assert "no room for it" in str(error)


def test_codes_are_unique_slugs_and_every_concrete_error_has_its_own() -> None:
    for code, cls in BY_CODE.items():
        assert code.replace("-", "").isalpha()
        assert code.islower()
        own = [other for other in every_class() if vars(other).get("code") == code]
        assert own == [cls]


def test_the_docstring_draws_every_class() -> None:
    drawn = inspect.getdoc(exceptions) or ""
    ours = {cls.__name__ for cls in every_class() if cls.__module__ == exceptions.__name__}
    ours.remove("UnknownOperation")  # drawn as a case of InvalidRequest
    assert not {name for name in ours if name not in drawn}


@pytest.mark.parametrize("code", [*sorted(BY_CODE), "made-up\x1b"])
def test_c21_an_answer_never_drives_the_terminal(code: str) -> None:
    hostile = "x\x1b]0;owned\x07\n\u202e"
    fields = {name: hostile if isinstance(value, str) else value for name, value in SAMPLES.items()}
    text = str(from_answer(code, hostile, fields, fatal=False, retry=False))
    assert text
    assert text.isprintable()


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_a_message_is_one_line_without_a_full_stop(code: str) -> None:
    text = str(sample(BY_CODE[code]))
    assert text
    assert text.isprintable()
    assert not text.endswith(".")


def test_limits_are_told_with_both_numbers() -> None:
    assert str(sample(BY_CODE["quota-exceeded"])) == "/a/b: needs 2.0 GiB, 0 B of 64.0 KiB left"
    assert str(sample(BY_CODE["no-space"])) == "/a/b: needs 2.0 GiB, 1.0 GiB free on the disk"
    assert (
        str(sample(BY_CODE["too-large"])) == "/a/b: 2.0 GiB is more than the largest file accepted, 64.0 KiB"
    )
