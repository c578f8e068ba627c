"""Seats: whose they are, and who makes room for whom."""

import socket
from collections.abc import Iterator

import pytest

from ftpsvc.exceptions import Busy
from ftpsvc.server.registry import CROWD, PATIENCE, Registry, Seat


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Crowd:
    """Connections to a registry."""

    def __init__(self, limit: int, per_group: int, per_user: int | None = None, strangers: int | None = None):
        self.clock = Clock()
        self.registry = Registry(limit, per_group, per_user=per_user, strangers=strangers, clock=self.clock)
        self.sockets: list[socket.socket] = []

    def come(self, group: str = "here", user: str | None = None) -> tuple[Seat, socket.socket, socket.socket]:
        ours, theirs = socket.socketpair()
        self.sockets += [ours, theirs]
        theirs.settimeout(30)
        seat = self.registry.admit(ours, group)
        if user is not None:
            seat.take_for(user)
        return seat, ours, theirs


@pytest.fixture
def crowds() -> Iterator[list[Crowd]]:
    made: list[Crowd] = []
    yield made
    for crowd in made:
        for sock in crowd.sockets:
            sock.close()


def test_c56_one_more_of_a_user_is_refused_and_nobody_else(crowds: list[Crowd]) -> None:
    crowd = Crowd(100, 100, per_user=2)
    crowds.append(crowd)
    _, first, _ = crowd.come(user="alice")
    crowd.come(user="alice")
    seat, _, _ = crowd.come()
    with pytest.raises(Busy, match="all 2 connections that one user may have") as caught:
        seat.take_for("alice")
    assert caught.value.limit == 2
    crowd.come(user="bob")
    seat.take_for("bob")  # it is still a seat, and may become somebody else's
    other, _, _ = crowd.come()
    crowd.registry.release(first, None)
    other.take_for("alice")


def test_a_code_that_is_used_up_lets_in_anyway(crowds: list[Crowd]) -> None:
    crowd = Crowd(100, 100, per_user=1)
    crowds.append(crowd)
    crowd.come(user="alice")
    seat, _, _ = crowd.come()
    seat.take_for("alice", always=True)
    third, _, _ = crowd.come()
    with pytest.raises(Busy):
        third.take_for("alice")


def test_strangers_leave_a_quarter_to_users(crowds: list[Crowd]) -> None:
    crowd = Crowd(8, 100)
    crowds.append(crowd)
    for number in range(6):
        crowd.come(f"address {number}")
    with pytest.raises(Busy, match="all 6 connections for clients that have not logged in"):
        crowd.come("address 7")


def test_a_stranger_who_had_his_time_makes_room(crowds: list[Crowd]) -> None:
    crowd = Crowd(100, 100, strangers=4)
    crowds.append(crowd)
    lone, _, lone_end = crowd.come("a student")
    many = [crowd.come("an attacker") for _ in range(3)]
    with pytest.raises(Busy):
        crowd.come("a newcomer")
    crowd.clock.now += PATIENCE
    newcomer, _, _ = crowd.come("a newcomer")
    # Of the address that has most of them the one that came first, and not who came first of all.
    assert many[0][0].dismissed
    assert many[0][2].recv(1) == b""
    assert not lone.dismissed
    assert not newcomer.dismissed
    lone_end.sendall(b"x")
    crowd.registry.release(many[0][1], None)  # its thread finds out, and leaves: nothing is counted twice
    crowd.come("a newcomer")
    assert [seat.dismissed for seat, _, _ in many] == [True, True, False]


def test_one_machine_that_floods_keeps_nobody_elsewhere_out(crowds: list[Crowd]) -> None:
    crowd = Crowd(1000, 1000, strangers=CROWD + 2)
    crowds.append(crowd)
    lone, _, _ = crowd.come("a student")
    many = [crowd.come("an attacker")[0] for _ in range(CROWD + 1)]
    with pytest.raises(Busy, match="have not logged in"):
        crowd.come("an attacker")
    newcomer, _, _ = crowd.come("a newcomer")
    assert [seat.dismissed for seat in many] == [True] + [False] * CROWD
    assert not lone.dismissed
    # What is no more than the part of one address is as safe as ever for its time, be it a class that starts at once.
    with pytest.raises(Busy, match="have not logged in"):
        crowd.come("a newcomer")
    assert not newcomer.dismissed


def test_one_of_a_class_cannot_hold_the_address_of_all(crowds: list[Crowd]) -> None:
    crowd = Crowd(100, 3)
    crowds.append(crowd)
    student, _, _ = crowd.come("class", user="bob")
    idle = [crowd.come("class")[0] for _ in range(2)]
    with pytest.raises(Busy, match="all 3 connections that one address may have"):
        crowd.come("class")
    crowd.clock.now += PATIENCE
    crowd.come("class", user="alice")
    assert [seat.dismissed for seat in (student, *idle)] == [False, True, False]


def test_users_are_never_dismissed(crowds: list[Crowd]) -> None:
    crowd = Crowd(3, 100)
    crowds.append(crowd)
    seats = [crowd.come(user=name)[0] for name in ("alice", "bob", "carol")]
    crowd.clock.now += 1000
    with pytest.raises(Busy, match="all 3 connections of the server"):
        crowd.come()
    assert not any(seat.dismissed for seat in seats)


def test_counts_come_back_to_nothing(crowds: list[Crowd]) -> None:
    crowd = Crowd(50, 10, per_user=5, strangers=20)
    crowds.append(crowd)
    registry = crowd.registry
    for turn in range(300):
        crowd.clock.now += 0.1
        try:
            seat, _, _ = crowd.come(f"address {turn % 7}")
            if turn % 3:
                seat.take_for(f"user {turn % 11}")
        except Busy:
            pass
        if turn % 2 and registry._seats:
            registry.release(next(iter(registry._seats)), None)
    for sock in list(registry._seats):
        registry.release(sock, None)
    assert len(registry) == registry._taken == registry._strangers_taken == 0
    assert not registry._groups
    assert not registry._users
    assert not registry._strangers
