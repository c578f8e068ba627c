"""docs/protocol.md section 3.1: each state with each step; what is not in the table raises and changes nothing."""

import itertools

import pytest

from ftpsvc.exceptions import LocalProtocolError
from ftpsvc.protocol.state import TRANSITIONS, Direction, State, Step

# The table again, as the page draws it: a second opinion, not an import.
LEGAL = {
    "greeting": {"greeting": "idle", "last message": "closed"},
    "idle": {"header": "idle", "data": "data", "content": "content", "last message": "closed"},
    "data": {"end of payload": "idle"},
    "content": {"end of payload": "trailer"},
    "trailer": {"trailer": "idle"},
    "closed": {},
}


def test_the_table_is_the_one_of_the_page() -> None:
    drawn = {
        (State(state), Step(step)): State(after)
        for state, steps in LEGAL.items()
        for step, after in steps.items()
    }
    assert drawn == TRANSITIONS


@pytest.mark.parametrize(
    ("state", "step"), list(itertools.product(State, Step)), ids=lambda value: value.name
)
def test_every_step_in_every_state(state: State, step: Step) -> None:
    direction = Direction(state)
    direction.remaining = remaining = 5 if state in (State.DATA, State.CONTENT) else 0
    after = LEGAL[state.value].get(step.value)
    if after is None:
        with pytest.raises(LocalProtocolError, match="is not due while"):
            direction.check(step)
        with pytest.raises(LocalProtocolError):
            direction.take(step, 7)
        assert (direction.state, direction.remaining) == (state, remaining)
        return
    assert direction.check(step) is State(after)
    assert direction.state is state, "looking changed it"
    direction.take(step, 7)
    assert direction.state is State(after)


@pytest.mark.parametrize(("step", "after"), [(Step.DATA, State.IDLE), (Step.CONTENT, State.TRAILER)])
def test_c08_an_empty_payload_ends_at_once(step: Step, after: State) -> None:
    direction = Direction(State.IDLE)
    direction.take(step, 0)
    assert (direction.state, direction.remaining) == (after, 0)


@pytest.mark.parametrize(
    ("step", "during", "after"),
    [(Step.DATA, State.DATA, State.IDLE), (Step.CONTENT, State.CONTENT, State.TRAILER)],
)
def test_a_payload_ends_with_its_last_byte(step: Step, during: State, after: State) -> None:
    direction = Direction(State.IDLE)
    direction.take(step, 10)
    direction.payload(0)
    direction.payload(9)
    assert (direction.state, direction.remaining) == (during, 1)
    direction.payload(1)
    assert (direction.state, direction.remaining) == (after, 0)


@pytest.mark.parametrize("count", [11, 2**63, -1])
def test_c05_more_payload_than_is_due_changes_nothing(count: int) -> None:
    direction = Direction(State.IDLE)
    direction.take(Step.CONTENT, 10)
    with pytest.raises(LocalProtocolError):
        direction.payload(count)
    assert (direction.state, direction.remaining) == (State.CONTENT, 10)


@pytest.mark.parametrize("state", [State.GREETING, State.IDLE, State.TRAILER, State.CLOSED])
def test_payload_where_none_is_due(state: State) -> None:
    direction = Direction(state)
    direction.payload(0)
    with pytest.raises(LocalProtocolError):
        direction.payload(1)
    assert direction.state is state
