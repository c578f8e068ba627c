"""Removed, disabled, another role, a device taken away: what becomes of sessions that are open, and of the home."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftpsvc.accounts.homes import set_aside
from ftpsvc.accounts.model import Role
from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import Credentials, Kind, new_token
from ftpsvc.scram import derive
from ftpsvc.server.daemon import Daemon
from ftpsvc.server.homes import Homes
from ftpsvc.storage.base import Storage
from tests.helpers.attackers import raw_log_in
from tests.helpers.daemon import GUARD
from tests.helpers.embedded import embedded, where
from tests.helpers.raw_peer import RawPeer
from tests.helpers.tls_peer import TlsPeer
from tests.helpers.users import add_user


def take_device(accounts: Accounts) -> None:
    accounts.revoke_token(accounts.user("ann"), None)


def disable(accounts: Accounts) -> None:
    accounts.change("ann", disabled=True)


def demote(accounts: Accounts) -> None:
    accounts.change("ann", role=Role.STUDENT)


def remove(accounts: Accounts) -> None:
    accounts.remove("ann")


BY_TLS = ("ftpsvc://127.0.0.1:0",)
EVENTS = [take_device, disable, demote, remove]


def joined(daemon: Daemon, credentials: Credentials) -> TlsPeer:
    peer = TlsPeer(where(daemon))
    raw_log_in(peer, credentials)
    return peer


def listing(peer: RawPeer) -> list[str]:
    return [entry["name"] for entry in peer.ls("/")]


def last_answer(peer: RawPeer) -> dict[str, Any]:
    """Asks until the session is over."""
    end = time.monotonic() + GUARD
    while (answer := peer.ask("pwd"))["status"] == "ok":
        assert time.monotonic() < end, "the session goes on"
    return answer


@pytest.mark.parametrize("event", EVENTS)
def test_c39_a_session_ends_when_what_it_stands_on_is_gone(
    event: Callable[[Accounts], None], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    ann = add_user(root, "ann", role=Role.TEACHER)
    with (
        embedded(root, guest="none", listen=BY_TLS) as daemon,
        Accounts(root) as accounts,
        joined(daemon, ann) as peer,
    ):
        assert peer.ask("pwd")["status"] == "ok"
        event(accounts)
        answer = last_answer(peer)
        assert (answer["code"], answer["fatal"]) == ("auth-required", True), answer
        assert peer.at_end()


@pytest.mark.parametrize("event", EVENTS)
def test_c39_a_thief_whose_device_is_taken_away_cannot_leave_another_one_behind(
    event: Callable[[Accounts], None], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    ann = add_user(root, "ann", role=Role.TEACHER)
    verifier = derive(new_token(), Kind.TOKEN).encode()
    with (
        embedded(root, guest="none", listen=BY_TLS) as daemon,
        Accounts(root) as accounts,
        joined(daemon, ann) as peer,
    ):
        known = len(accounts.secrets(accounts.user("ann")).tokens)
        assert peer.ask("issue-token", label="mine", verifier=verifier)["status"] == "ok"
        user = accounts.user("ann")
        event(accounts)
        answer = peer.ask("issue-token", label="another", verifier=verifier)
        assert (answer["status"], answer["code"]) == ("error", "auth-required")
        assert len(accounts.secrets(user).tokens) in (0, known + 1)


@pytest.mark.parametrize("stays", [False, True], ids=["nobody-is-in-it", "an-old-session-is-open"])
def test_c24_the_next_user_of_a_name_gets_a_home_of_his_own(stays: bool, tmp_path: Path) -> None:
    root = tmp_path / "root"
    first = add_user(root, "ann", quota=1000)
    with embedded(root, guest="none", listen=BY_TLS) as daemon:
        old = joined(daemon, first)
        try:
            assert old.put("/private", b"of the first ann")["status"] == "ok"
            if not stays:
                old.close()
            with Accounts(root) as accounts:
                accounts.change("ann", disabled=True)
                kept = set_aside(root, "ann", accounts.now)
                accounts.remove("ann")
            assert kept is not None
            second = add_user(root, "ann", quota=1000)
            with joined(daemon, second) as new:
                assert listing(new) == ["handouts"]
                assert new.ask("df")["used"] == 0
                assert new.put("/mine", b"of the second ann")["status"] == "ok"
                assert (root / "users/ann/mine").read_bytes() == b"of the second ann"
                assert not (kept / "mine").exists()
                if stays:
                    assert last_answer(old)["code"] == "auth-required"
                assert listing(new) == ["handouts", "mine"]
            with joined(daemon, second) as again:
                assert listing(again) == ["handouts", "mine"]
        finally:
            old.close()


def test_c24_who_is_removed_in_the_middle_of_a_log_in_leaves_nothing_to_the_next_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof was right, then the operator's whole command runs, then the server makes the home anew."""
    root = tmp_path / "root"
    first = add_user(root, "ann")
    enter = Homes.enter

    def removed_first(homes: Homes, name: str, quota: int | None, *, make: bool = False) -> Storage:
        with Accounts(root) as accounts:
            accounts.change("ann", disabled=True)
            set_aside(root, "ann", accounts.now)
            accounts.remove("ann")
        return enter(homes, name, quota, make=make)

    with embedded(root, guest="none", listen=BY_TLS) as daemon:
        with monkeypatch.context() as patch:
            patch.setattr(Homes, "enter", removed_first)
            peer = joined(daemon, first)
        with peer:
            answer = peer.put("/planted", b"of the first ann")
            assert (answer["status"], answer["code"]) == ("error", "auth-required")
        second = add_user(root, "ann")
        with joined(daemon, second) as new:
            assert listing(new) == ["handouts"]
