"""The states of one direction of a conversation, and every legal step between them, as one table.

A conversation has two directions: what the client says (requests) and what the server says (a greeting, then one
response for each request, in their order). Each direction is a sequence of messages and so has its own state:

    GREETING --greeting--> IDLE                         only the server's direction starts here
    IDLE --header--> IDLE                               a message without payload
    IDLE --data--> DATA --end--> IDLE                   a payload that is no content (a listing)
    IDLE --content--> CONTENT --end--> TRAILER          a file's content ...
    TRAILER --trailer--> IDLE                           ... is always followed by its trailer
    IDLE | GREETING --last--> CLOSED                    quit, or a fatal error

Anything else raises and changes nothing. Source: docs/protocol.md section 3.1.
"""

from __future__ import annotations

import enum

from ftpsvc.exceptions import LocalProtocolError


class Role(enum.Enum):
    """Which side of a conversation we are."""

    CLIENT = "client"
    SERVER = "server"


class State(enum.Enum):
    """What may come next in one direction."""

    __hash__ = object.__hash__  # Enum's own is Python, and each step of each message asks for two

    GREETING = "greeting"
    IDLE = "idle"
    DATA = "data"
    CONTENT = "content"
    TRAILER = "trailer"
    CLOSED = "closed"


class Step(enum.Enum):
    """What happens in one direction."""

    __hash__ = object.__hash__  # Enum's own is Python, and each step of each message asks for two

    GREETING = "greeting"
    HEADER = "header"
    DATA = "data"
    CONTENT = "content"
    END = "end of payload"
    TRAILER = "trailer"
    LAST = "last message"


TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.GREETING, Step.GREETING): State.IDLE,
    (State.GREETING, Step.LAST): State.CLOSED,
    (State.IDLE, Step.HEADER): State.IDLE,
    (State.IDLE, Step.DATA): State.DATA,
    (State.IDLE, Step.CONTENT): State.CONTENT,
    (State.IDLE, Step.LAST): State.CLOSED,
    (State.DATA, Step.END): State.IDLE,
    (State.CONTENT, Step.END): State.TRAILER,
    (State.TRAILER, Step.TRAILER): State.IDLE,
}


class Direction:
    """One direction of a conversation.

    Attributes:
        state: What may come next.
        remaining: Payload bytes that are still due; 0 outside DATA and CONTENT.
    """

    __slots__ = ("remaining", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.remaining = 0

    def check(self, step: Step) -> State:
        """Returns the state after `step` without taking it.

        Raises:
            LocalProtocolError: The step is not legal now.
        """
        try:
            return TRANSITIONS[self.state, step]
        except KeyError:
            raise LocalProtocolError(f"{step.value} is not due while {self.state.value} is") from None

    def take(self, step: Step, size: int = 0) -> None:
        """Takes a step; one that starts a payload says how many bytes it has. An empty payload ends at once.

        Raises:
            LocalProtocolError: The step is not legal now; nothing changed.
        """
        self.state = self.check(step)
        if step is Step.DATA or step is Step.CONTENT:
            self.remaining = size
            if not size:
                self.state = TRANSITIONS[self.state, Step.END]

    def payload(self, count: int) -> None:
        """Counts payload bytes that went by; the last one ends the payload. None went by is no step at all.

        Raises:
            LocalProtocolError: More than are due; nothing changed.
        """
        if not 0 <= count <= self.remaining:  # outside DATA and CONTENT none are due
            raise LocalProtocolError(f"{count} payload bytes where {self.remaining} are due")
        self.remaining -= count
        if count and not self.remaining:
            self.state = TRANSITIONS[self.state, Step.END]
