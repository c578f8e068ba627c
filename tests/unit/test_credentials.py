import pytest

from ftpsvc.credentials import (
    ALPHABET,
    CODE_SYMBOLS,
    ITERATIONS,
    TOKEN_SYMBOLS,
    Kind,
    LoginName,
    Verifier,
    grouped,
    new_code,
    new_token,
    new_token_id,
    read_code,
    read_token,
    token_text,
)
from ftpsvc.exceptions import ConfigError, InvalidRequest
from ftpsvc.scram import derive


def test_codes_and_tokens_have_at_least_80_random_bits_that_can_be_read_aloud() -> None:
    assert len(set(ALPHABET)) == 32
    assert not set("01OIoi") & set(ALPHABET)
    assert 5 * CODE_SYMBOLS >= 80
    assert 5 * TOKEN_SYMBOLS >= 80
    codes = {new_code() for _ in range(200)}
    assert len(codes) == 200
    assert all(len(read_code(code)) == CODE_SYMBOLS and code.count("-") == 3 for code in codes)
    # Every symbol is in use: a generator that drew from half of them would have fewer bits than it says.
    assert set("".join(codes)) == set(ALPHABET) | {"-"}


def test_a_code_may_be_typed_in_any_case_with_any_dashes() -> None:
    code = new_code()
    bare = code.replace("-", "")
    for typed in (
        code.lower(),
        bare,
        f" {bare.lower()}\n",
        "-".join(bare),
        code.replace("-", "\u2013"),
        code.replace("-", "　"),
    ):
        assert read_code(typed) == bare


@pytest.mark.parametrize(
    "typed",
    ["", "ABCD", "ABCD-EFGH-JKLM-NPQ0", "ABCD-EFGH-JKLM-NPQ1", "A" * 17, "密" * 16, "ABCD_EFGH_JKLM_NPQR"],
)
def test_what_cannot_be_a_code_is_said_before_a_server_is_asked(typed: str) -> None:
    with pytest.raises(ConfigError, match="no enrolment code"):
        read_code(typed)


def test_a_token_is_one_text_that_is_read_back() -> None:
    token_id, secret = new_token_id(), new_token()
    assert read_token(token_text(token_id, secret)) == (token_id, secret)
    assert read_token(token_text(token_id, secret).lower()) == (token_id, secret)
    with pytest.raises(ConfigError, match="no device token"):
        read_token(grouped(secret))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("alice", LoginName("alice")),
        ("a b", LoginName("a b")),
        ("alice#code", LoginName("alice", Kind.CODE)),
        ("alice#t:AB12", LoginName("alice", Kind.TOKEN, "AB12")),
        ("#code", LoginName("", Kind.CODE)),
    ],
)
def test_scram_names(text: str, name: LoginName) -> None:
    assert LoginName.parse(text) == name
    assert str(name) == text


@pytest.mark.parametrize("text", ["alice#", "alice#CODE", "alice#t", "alice#x:1", "a#b#code"])
def test_a_scram_name_of_no_form_is_a_user_that_cannot_exist(text: str) -> None:
    name = LoginName.parse(text)
    assert "#" in name.user
    assert name.kind is Kind.PASSWORD


def test_a_verifier_is_read_back_from_its_line() -> None:
    verifier = derive(new_token(), Kind.TOKEN)
    assert Verifier.parse(verifier.encode(), Kind.TOKEN) == verifier
    assert len(verifier.encode()) < 200


def test_a_verifier_from_a_client_must_be_of_the_sizes_in_use() -> None:
    good = derive("x", Kind.TOKEN)
    for bad in (
        Verifier(good.salt, 4097, good.stored_key, good.server_key),
        Verifier(good.salt + b"1", 4096, good.stored_key, good.server_key),
        Verifier(good.salt, 4096, good.stored_key[1:], good.server_key),
    ):
        with pytest.raises(InvalidRequest):
            Verifier.parse(bad.encode(), Kind.TOKEN)
    with pytest.raises(InvalidRequest, match="600000"):
        Verifier.parse(good.encode(), Kind.PASSWORD)
    for text in (
        "",
        "SCRAM-SHA-1$4096:x$y:z",
        good.encode() + "\n",
        good.encode().replace("4096", "04096"),
        "=" * 200,
    ):
        with pytest.raises(InvalidRequest):
            Verifier.parse(text, Kind.TOKEN)


def test_a_verifier_does_not_show_itself() -> None:
    verifier = derive("x", Kind.TOKEN)
    assert verifier.stored_key.hex() not in repr(verifier)
    assert repr(verifier.stored_key) not in repr(verifier)


def test_password_iterations_are_those_that_the_docs_give_reasons_for() -> None:
    assert ITERATIONS == {Kind.PASSWORD: 600_000, Kind.CODE: 4096, Kind.TOKEN: 4096}
