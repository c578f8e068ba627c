"""What a check of a client has: the client in its box, our server, and what is between them."""

from __future__ import annotations

import re
from typing import Final

from ftpsvc.homework.kit.chaos import Chaos
from ftpsvc.homework.kit.checks.tester import same
from ftpsvc.homework.kit.client_box import ClientBox
from ftpsvc.homework.kit.client_words import Words
from ftpsvc.homework.kit.findings import Fault, Hung
from ftpsvc.homework.kit.gateway import Gateway, Script
from ftpsvc.homework.kit.our_server import OurServer
from ftpsvc.homework.kit.said import said
from ftpsvc.text import printable

OLD: Final = b"the old content"
"""What lies under a name that a download fails to replace."""

_MOST: Final = 4096  # characters of what a client wrote that are looked at for its last line


class NoConnection(Fault):
    """The client did not even connect: no other check needs to try."""


class ClientTester:
    """What a check has: a client in its box, the server, and what is between.

    Attributes:
        box: Where the client runs.
        server: Our server.
        gateway: What is between.
        say: What is typed for each command.
        patience: Seconds in which something has to happen.
        typed: What was typed last, for the report.
        output: What the client wrote in its last run.
    """

    def __init__(
        self, box: ClientBox, server: OurServer, gateway: Gateway, words: Words, patience: float
    ) -> None:
        self.box = box
        self.server = server
        self.gateway = gateway
        self.say = words
        self.patience = patience
        self.typed = ""
        self.output = ""

    def run(
        self,
        *lines: str,
        chaos: Chaos | None = None,
        script: Script | None = None,
        terminal: bool = False,
        paced: bool = False,
        quits: bool = True,
    ) -> str:
        """Starts the client, types lines and what ends it, and waits until it ended.

        Args:
            lines: What is typed.
            chaos: What happens between it and the server.
            script: A server that is played in the place of ours.
            terminal: Whether it has a terminal.
            paced: Whether bytes pass in steps, so that it has the time to show progress.
            quits: Whether `quit` is typed in the end; else the input just ends.

        Returns:
            What it wrote.

        Raises:
            Fault: It does not end, floods, or does not connect.
        """
        given = [*lines, self.say.quit()] if quits else list(lines)
        self.typed = "; ".join(given)
        self.output = ""
        before = self.gateway.connections
        self.gateway.be(chaos or Chaos(), script, paced=paced)
        with self.box.run(terminal=terminal) as running:
            running.type(given)
            try:
                ended = running.ends()
            finally:
                self.output = running.output
            self.gateway.check()
            if self.gateway.connections == before:
                raise self._no_connection(ended)
            if not ended:
                raise self._hung(
                    said("that it ends when that is typed")
                    if quits
                    else said("that it ends at the end of its input")
                )
            self._not_killed()
            return running.output

    def interrupted(self, *lines: str, chaos: Chaos | None = None, script: Script | None = None) -> str:
        """Starts the client at a terminal, types lines, and presses Ctrl-C when the server is silent (see `run`).

        A client may take a Ctrl-C as the end of the command alone; then it has to do what is typed next, which ends it.
        """
        self.typed = "; ".join([*lines, "Ctrl-C"])
        before = self.gateway.connections
        self.gateway.be(chaos or Chaos(), script)
        with self.box.run(terminal=True) as running:
            running.type(lines, end=False)
            waited = self.gateway.stalled.wait if chaos else self.gateway.wait_connected
            silent = waited(self.patience)
            if self.gateway.connections == before:
                raise self._no_connection(running.ends(0.0))
            if not silent:
                raise self._hung(said("that it does what is typed"))
            for _ in range(3):
                running.interrupt()
                running.type([self.say.quit()])
                if running.ends(self.patience / 3):
                    break
            else:
                raise self._hung(said("that it gives up, or ends by Ctrl-C"))
            self.output = running.output
            return running.output

    def local(self, name: str, content: bytes) -> None:
        """Puts a file beside the client."""
        self.box.write(name, content)

    def arrived(self, name: str, content: bytes) -> None:
        """Expects a file on the server.

        Raises:
            Fault: It is not there, or another one.
        """
        _same(self.server.read(name), content, said("{name} on the server, as it was put", name=name))

    def fetched(self, name: str, content: bytes) -> None:
        """Expects a file beside the client (errors: `arrived`)."""
        _same(self.box.read(name), content, said("{name} beside the client, as the server has it", name=name))

    def kept(self, name: str) -> None:
        """Expects that a file beside the client is still the old one (errors: `arrived`)."""
        _same(
            self.box.read(name),
            OLD,
            said("the old content of {name}, as the new one did not come", name=name),
        )

    def complained(self, failure: str, success: str, *names: str) -> None:
        """Expects that a client said of a failure something that it does not say of a success.

        Args:
            failure: What it wrote then.
            success: What it wrote when the same was typed and went well.
            names: What differed in what was typed.

        Raises:
            Fault: It did not.
        """
        if not _words(failure) - _words(success) - _words(" ".join(names)):
            raise Fault(said("a message that it failed"), said("it says what it says when all went well"))

    def _hung(self, expected: str) -> Hung:
        return Hung(expected, said("it hangs: nothing happened for {seconds:g} s", seconds=self.patience))

    def _no_connection(self, ended: bool) -> NoConnection:
        expected = said("a connection to HOST and PORT of its command line")
        seen = (
            said("none came; it ended with {code}", code=self.box.exit())
            if ended
            else said("none came for {seconds:g} s", seconds=self.patience)
        )
        if last := self.output[-_MOST:].strip().splitlines()[-1:]:
            seen = said("{seen}: {words}", seen=seen, words=printable(last[0])[:300])
        hint = said(
            "first it has to connect: to HOST and PORT of its command line, before it asks for anything"
        )
        return NoConnection(expected, seen, hint=hint)

    def _not_killed(self) -> None:
        code = self.box.exit()
        if code is not None and code < 0:
            raise Fault(said("that it ends by itself"), said("a signal ended it: {number}", number=-code))


def _same(seen: bytes | None, content: bytes, expected: str) -> None:
    if seen is None:
        raise Fault(expected, said("there is no such file"))
    same(seen, content, expected)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", text.lower()))
