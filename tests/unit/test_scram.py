"""Both halves of a log-in, against each other, against the RFC, and against a peer that cheats."""

import base64
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftpsvc import credentials
from ftpsvc.accounts import keys
from ftpsvc.accounts.model import User
from ftpsvc.accounts.scram import REFUSED, ServerLogin
from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import BOUND, MAX_ITERATIONS, PLAIN, Kind, LoginName, Verifier, new_code, new_token
from ftpsvc.exceptions import AuthenticationFailed, ConfigError, LocalProtocolError
from ftpsvc.scram import ClientLogin, check_new_password, derive, usable_secret
from tests.helpers.logins import PASSWORD, Clock, add_device, log_in, refusal

CERTIFICATE = b"\x01" * 32
OTHER = b"\x02" * 32
SECRET = {Kind.PASSWORD: PASSWORD, Kind.CODE: "2345-6789-ABCD-EFGH", Kind.TOKEN: "A" * 24}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with Accounts(tmp_path, clock=clock) as opened:
        yield opened


@pytest.fixture
def alice(accounts: Accounts) -> User:
    return accounts.add("alice")


def test_the_example_of_rfc_7677_is_spoken_byte_for_byte(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    user = accounts.add("user")
    monkeypatch.setitem(
        credentials.ITERATIONS, Kind.PASSWORD, 4096
    )  # the example is older than today's advice
    monkeypatch.setitem(credentials.MIN_ITERATIONS, Kind.PASSWORD, 4096)
    monkeypatch.setattr("ftpsvc.scram.secrets.token_bytes", lambda _: salt)
    with accounts.database.write() as connection:
        keys.put(connection, user.id, Kind.PASSWORD, derive("pencil", Kind.PASSWORD), 0)
    nonces = iter(["rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"])
    monkeypatch.setattr("scramp.core.token_hex", lambda: next(nonces))

    client = ClientLogin(LoginName("user"), "pencil")
    server = ServerLogin(accounts, PLAIN)
    first = client.first()
    assert first == "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    challenge = server.step(first)
    assert (
        challenge == "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    proof = client.answer(challenge)
    assert proof == (
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    signature = server.step(proof)
    assert signature == "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    client.finish(signature)
    assert client.done


@pytest.mark.parametrize("binding", [None, CERTIFICATE], ids=["plain", "tls"])
@pytest.mark.parametrize("name", ["alice", "a b", "张三", "o.k-a_y@b+c"])
def test_each_kind_of_secret_logs_in(accounts: Accounts, name: str, binding: bytes | None) -> None:
    user = accounts.add(name)
    code = accounts.issue_code(name)
    accounts.set_password(user, derive(PASSWORD, Kind.PASSWORD))
    device, secret = add_device(accounts, user, "the lab's PC")

    assert log_in(accounts, LoginName(name, Kind.CODE), code.lower(), binding).kind is Kind.CODE
    assert log_in(accounts, LoginName(name), PASSWORD, binding).user == user
    by_token = log_in(accounts, device, secret, binding)
    assert (by_token.user, by_token.kind, by_token.token_id) == (user, Kind.TOKEN, device.token_id)
    assert by_token.label == "the lab's PC"


def test_a_password_may_have_any_letters(accounts: Accounts, alice: User) -> None:
    accounts.set_password(alice, derive("密码 ｐässwörd", Kind.PASSWORD))
    assert log_in(accounts, LoginName("alice"), "密码 pa\u0308sswo\u0308rd").user == alice


def test_one_kind_of_secret_is_none_of_another_kind(accounts: Accounts, alice: User) -> None:
    code = accounts.issue_code("alice")
    accounts.set_password(alice, derive(PASSWORD, Kind.PASSWORD))
    device, secret = add_device(accounts, alice)
    for name, wrong in (
        (LoginName("alice"), code),
        (LoginName("alice"), secret),
        (LoginName("alice", Kind.CODE), new_code()),
        (device, PASSWORD),
        (LoginName("alice", Kind.TOKEN, "AAAAAAAA"), secret),
        (LoginName("alice", Kind.TOKEN, ""), secret),
        (LoginName("Alice", Kind.TOKEN, device.token_id), secret),
    ):
        assert refusal(accounts, name, wrong) == REFUSED


class TestMechanisms:
    """The client names the mechanism by its connection, the server takes only that one, and neither is talked out."""

    def test_tls_takes_the_bound_mechanism_only(self, accounts: Accounts) -> None:
        assert ClientLogin(LoginName("alice"), "x", CERTIFICATE).mechanism == BOUND == "SCRAM-SHA-256-PLUS"
        assert ClientLogin(LoginName("alice"), "x").mechanism == PLAIN == "SCRAM-SHA-256"
        for mechanism in (PLAIN, "SCRAM-SHA-1-PLUS", "SCRAM-SHA-512-PLUS", "PLAIN", "", "scram-sha-256-plus"):
            with pytest.raises(AuthenticationFailed, match="SCRAM-SHA-256-PLUS only"):
                ServerLogin(accounts, mechanism, CERTIFICATE)
        for mechanism in (BOUND, "SCRAM-SHA-1", "PLAIN", "ANONYMOUS", ""):
            with pytest.raises(AuthenticationFailed, match="SCRAM-SHA-256 only"):
                ServerLogin(accounts, mechanism)

    @pytest.mark.parametrize(
        "flag",
        [
            "n",
            "y",
            "p=tls-unique",
            "p=tls-exporter",
            "p=",
            "p",
            "",
            "P=tls-server-end-point",
            "p=tls-server-end-point,a=root",
        ],
    )
    def test_tls_refuses_every_other_flag(self, accounts: Accounts, alice: User, flag: str) -> None:
        server = ServerLogin(accounts, BOUND, CERTIFICATE)
        with pytest.raises(AuthenticationFailed):
            server.step(f"{flag},,n=alice,r=abcdefghijkl")

    def test_plain_refuses_a_binding_that_is_not_there(self, accounts: Accounts) -> None:
        with pytest.raises(AuthenticationFailed):
            ServerLogin(accounts, PLAIN).step("p=tls-server-end-point,,n=alice,r=abcdefghijkl")

    def test_c38_another_certificate_in_the_middle_fails(self, accounts: Accounts, alice: User) -> None:
        device, secret = add_device(accounts, alice)
        with pytest.raises(AuthenticationFailed, match="refused"):
            log_in(accounts, device, secret, CERTIFICATE, seen=OTHER)
        assert log_in(accounts, device, secret, CERTIFICATE, seen=CERTIFICATE).user == alice


class TestC35Replay:
    """A recorded log-in is worth nothing in another conversation, nor a second time in its own."""

    def test_c35_a_recorded_log_in_cannot_be_replayed(self, accounts: Accounts, alice: User) -> None:
        device, secret = add_device(accounts, alice)
        client, server = ClientLogin(device, secret), ServerLogin(accounts, PLAIN)
        first = client.first()
        proof = client.answer(server.step(first))
        server.step(proof)
        for _ in range(5):
            other = ServerLogin(accounts, PLAIN)
            other.step(first)
            with pytest.raises(AuthenticationFailed):
                other.step(proof)
            assert other.identity is None
        with pytest.raises(AuthenticationFailed):
            server.step(proof)

    def test_c35_a_proof_fits_one_nonce_only(self, accounts: Accounts, alice: User) -> None:
        device, secret = add_device(accounts, alice)
        client, server = ClientLogin(device, secret), ServerLogin(accounts, PLAIN)
        first = client.first()
        header, _, proof = client.answer(server.step(first)).split(",")
        other = ServerLogin(accounts, PLAIN)
        nonce = other.step(first).split(",")[0]
        with pytest.raises(AuthenticationFailed):
            other.step(f"{header},{nonce},{proof}")

    def test_after_a_failure_every_step_fails(self, accounts: Accounts, alice: User) -> None:
        device, secret = add_device(accounts, alice)
        client, server = ClientLogin(device, secret), ServerLogin(accounts, PLAIN)
        with pytest.raises(AuthenticationFailed):
            server.step("nonsense")
        with pytest.raises(AuthenticationFailed):
            server.step(client.first())


class TestC37Unknown:
    """Nothing tells a name that exists from one that does not."""

    def test_c37_the_challenge_of_an_unknown_name_looks_like_a_known_one(
        self, accounts: Accounts, alice: User
    ) -> None:
        accounts.set_password(alice, derive(PASSWORD, Kind.PASSWORD))
        accounts.issue_code("alice")
        device, _ = add_device(accounts, alice)
        for known, unknown in (
            (LoginName("alice"), LoginName("nobody")),
            (LoginName("alice", Kind.CODE), LoginName("nobody", Kind.CODE)),
            (device, LoginName("nobody", Kind.TOKEN, "ABCDEFGH")),
            (device, LoginName("alice", Kind.TOKEN, "ABCDEFGH")),
        ):
            real, made_up = accounts.verifier(str(known)), accounts.verifier(str(unknown))
            assert (real.iterations, len(real.salt)) == (made_up.iterations, len(made_up.salt))

    def test_c37_a_made_up_salt_stays_the_same_and_is_different_for_each_name(
        self, accounts: Accounts, tmp_path: Path
    ) -> None:
        names = ["nobody", "somebody", "nobody#code", "nobody#t:AAAAAAAA", "nobody#t:BBBBBBBB", "x#y", ""]
        salts = [accounts.verifier(name).salt for name in names]
        assert len(set(salts)) == len(names)
        with Accounts(tmp_path) as again:
            assert [again.verifier(name).salt for name in names] == salts

    def test_c37_two_servers_make_up_different_salts(
        self, accounts: Accounts, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        with Accounts(tmp_path_factory.mktemp("other")) as other:
            assert other.verifier("nobody").salt != accounts.verifier("nobody").salt

    def test_c37_every_refusal_reads_the_same(self, accounts: Accounts, alice: User, clock: Clock) -> None:
        accounts.set_password(alice, derive(PASSWORD, Kind.PASSWORD))
        used, expired = accounts.add("used"), accounts.add("expired")
        disabled = accounts.add("disabled")
        code = accounts.issue_code(used.name)
        log_in(accounts, LoginName(used.name, Kind.CODE), code)
        old_code = accounts.issue_code(expired.name, lifetime=60)
        clock.now += 60
        gone, secret = add_device(accounts, alice)
        accounts.revoke_token(alice, gone.token_id)
        device, device_secret = add_device(accounts, disabled)
        accounts.change(disabled.name, disabled=True)
        refusals = {
            refusal(accounts, name, wrong)
            for name, wrong in (
                (LoginName("alice"), "a wrong password"),
                (LoginName("nobody"), "a wrong password"),
                (LoginName(used.name, Kind.CODE), code),
                (LoginName(expired.name, Kind.CODE), old_code),
                (LoginName("nobody", Kind.CODE), code),
                (gone, secret),
                (device, device_secret),
            )
        }
        assert refusals == {REFUSED}

    @pytest.mark.parametrize("kind", list(Kind))
    def test_c37_known_and_unknown_cost_the_same_operations(
        self, accounts: Accounts, alice: User, kind: Kind
    ) -> None:
        accounts.set_password(alice, derive(PASSWORD, Kind.PASSWORD))
        accounts.issue_code("alice")
        device, _ = add_device(accounts, alice)
        known = device if kind is Kind.TOKEN else LoginName("alice", kind)
        unknown = LoginName("nobody", kind, known.token_id)
        secret = new_code() if kind is Kind.CODE else "B" * 24

        def cost(name: LoginName) -> Counter[str]:
            """Counts what the server calls in C for one refused log-in: hashes, HMACs, statements, and all else."""
            client, server = ClientLogin(name, secret), ServerLogin(accounts, PLAIN)
            calls: Counter[str] = Counter()

            def note(_frame: object, event: str, argument: object) -> None:
                if event == "c_call":
                    calls[getattr(argument, "__qualname__", "?")] += 1

            first = client.first()
            sys.setprofile(note)
            try:
                challenge = server.step(first)
            finally:
                sys.setprofile(None)
            proof = client.answer(challenge)
            sys.setprofile(note)
            try:
                server.step(proof)
            except AuthenticationFailed:
                pass
            finally:
                sys.setprofile(None)
            return calls

        cost(known), cost(unknown)  # what is done once only, as compiling the statement
        one, other = cost(known), cost(unknown)
        hashing = {
            "hmac_digest",
            "hmac_new",
            "openssl_sha256",
            "execute",
            "HASH.digest",
            "HMAC.digest",
            "HMAC.update",
        }
        assert {name: one[name] for name in hashing} == {name: other[name] for name in hashing}
        assert sum(one[name] for name in hashing) >= 5
        # And all else: a row that is there is unpacked, which is a handful of calls among hundreds.
        assert abs(one.total() - other.total()) < one.total() / 20


class TestAServerThatCheats:
    """What a client refuses to do for it."""

    def challenge(self, client: ClientLogin, iterations: str, salt: str = "W22ZaJ0SNY7soEsUEjb6gQ==") -> str:
        nonce = client.first().rpartition("r=")[2]
        return f"r={nonce}abc,s={salt},i={iterations}"

    @pytest.mark.parametrize(
        ("name", "iterations"),
        [
            (LoginName("alice"), 4096),
            (LoginName("alice"), 599_999),
            (LoginName("alice", Kind.CODE), 4095),
            (LoginName("alice", Kind.TOKEN, "A"), 1),
            (LoginName("alice"), MAX_ITERATIONS + 1),
            (LoginName("alice", Kind.TOKEN, "A"), MAX_ITERATIONS + 1),
            (LoginName("alice"), 10**18),
        ],
    )
    def test_iterations_out_of_bounds_are_not_computed(
        self, name: LoginName, iterations: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = ClientLogin(name, SECRET[name.kind])
        computed: list[object] = []
        monkeypatch.setattr("scramp.core.hi", lambda *arguments: computed.append(arguments))
        with pytest.raises(AuthenticationFailed):
            client.answer(self.challenge(client, str(iterations)))
        assert not computed

    @pytest.mark.parametrize(
        "message",
        [
            "",
            "e=other-error",
            "r=abc",
            "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "v=AAAA",
            "\x00",
            "\ud800",
            "r=x,s=!,i=4096",
            "x" * 5000,
        ],
    )
    def test_nonsense_is_refused_with_an_error_of_ours(self, message: str) -> None:
        client = ClientLogin(LoginName("alice", Kind.TOKEN, "A"), "A" * 24)
        client.first()
        with pytest.raises(AuthenticationFailed):
            client.answer(message)
        with pytest.raises(LocalProtocolError):
            client.answer(message)

    def test_a_weak_count_names_both_numbers(self) -> None:
        client = ClientLogin(LoginName("alice"), PASSWORD)
        with pytest.raises(AuthenticationFailed, match="4,096 iterations, less than the 600,000"):
            client.answer(self.challenge(client, "4096"))

    def test_a_server_that_does_not_know_the_account_is_found_out(
        self, accounts: Accounts, alice: User
    ) -> None:
        device, secret = add_device(accounts, alice)
        client, server = ClientLogin(device, secret), ServerLogin(accounts, PLAIN)
        client.answer(server.step(client.first()))
        for wrong in (
            "v=" + base64.b64encode(bytes(32)).decode(),
            "e=other-error",
            "",
            "v=",
            "v=é",
            "\ud800",
        ):
            other = ClientLogin(device, secret)
            other.answer(ServerLogin(accounts, PLAIN).step(other.first()))
            with pytest.raises(AuthenticationFailed, match="did not prove"):
                other.finish(wrong)
            assert not other.done

    def test_steps_out_of_turn_are_our_own_bug(self) -> None:
        client = ClientLogin(LoginName("alice"), "x")
        with pytest.raises(LocalProtocolError):
            client.finish("v=")
        with pytest.raises(LocalProtocolError):
            client.answer("r=")
        client.first()
        with pytest.raises(LocalProtocolError):
            client.first()


class TestSecrets:
    """What cannot be a secret is said at once, by the side that has it."""

    @pytest.mark.parametrize(
        "secret", ["", "\x00" * 12, "\ud800" * 12, "pass\u2028word abc", "x" * 1025, "😀" * 12]
    )
    def test_what_cannot_be_carried(self, secret: str) -> None:
        with pytest.raises(ConfigError):
            usable_secret(secret, Kind.PASSWORD)

    def test_a_new_password_is_not_too_short(self) -> None:
        with pytest.raises(ConfigError, match="at least 10"):
            check_new_password("ninechars")
        check_new_password("ten chars!")

    def test_a_name_that_cannot_be_carried(self) -> None:
        with pytest.raises(ConfigError):
            ClientLogin(LoginName("\ud800"), "x")


def test_a_code_is_good_once_and_nothing_of_it_is_kept(accounts: Accounts, alice: User) -> None:
    code = accounts.issue_code("alice")
    verifier: Verifier = accounts.verifier("alice#code")
    log_in(accounts, LoginName("alice", Kind.CODE), code)
    assert refusal(accounts, LoginName("alice", Kind.CODE), code) == REFUSED
    assert accounts.verifier("alice#code").stored_key != verifier.stored_key
    assert accounts.secrets(alice).code_used == accounts.now
    with accounts.database.read() as connection:
        kept = connection.exec_driver_sql("SELECT salt, stored_key, server_key FROM credentials").one()
    assert tuple(kept) == (b"", b"", b"")


def test_of_two_conversations_with_one_code_one_gets_in(accounts: Accounts, alice: User) -> None:
    code = accounts.issue_code("alice")
    pairs = []
    for _ in range(2):
        client, server = ClientLogin(LoginName("alice", Kind.CODE), code), ServerLogin(accounts, PLAIN)
        pairs.append((server, client.answer(server.step(client.first()))))
    pairs[0][0].step(pairs[0][1])
    with pytest.raises(AuthenticationFailed, match="refused"):
        pairs[1][0].step(pairs[1][1])
    assert pairs[1][0].identity is None


@pytest.mark.parametrize("change", ["disabled", "revoked", "removed", "new password"])
def test_what_changes_between_the_two_steps_counts(accounts: Accounts, alice: User, change: str) -> None:
    accounts.set_password(alice, derive(PASSWORD, Kind.PASSWORD))
    device, secret = add_device(accounts, alice)
    name, known = (LoginName("alice"), PASSWORD) if change == "new password" else (device, secret)
    client, server = ClientLogin(name, known), ServerLogin(accounts, PLAIN)
    proof = client.answer(server.step(client.first()))
    if change == "disabled":
        accounts.change("alice", disabled=True)
    elif change == "revoked":
        accounts.revoke_token(alice, None)
    elif change == "removed":
        accounts.remove("alice")
    else:
        accounts.set_password(alice, derive("another password", Kind.PASSWORD))
    with pytest.raises(AuthenticationFailed, match="refused"):
        server.step(proof)


def test_a_token_that_was_made_by_a_client_is_used_by_its_id(accounts: Accounts, alice: User) -> None:
    secret = new_token()
    token = accounts.issue_token(alice, "x" * 500 + "\x1b[2J", derive(secret, Kind.TOKEN))
    assert len(token.label) == keys.MAX_LABEL
    assert log_in(accounts, LoginName("alice", Kind.TOKEN, token.id), secret).label == token.label
