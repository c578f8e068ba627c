"""The prompt of `ftpsvc shell` on a terminal. The only module that imports prompt_toolkit."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem, ShellComplete
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from ftpsvc.addresses import Address
from ftpsvc.text import printable
from ftpsvc_client.cli import words
from ftpsvc_client.cli.app import COMPLETION_NAMES, App, Session, completion_timeout
from ftpsvc_client.cli.shell import Leave, commands
from ftpsvc_client.cli.targets import join
from ftpsvc_client.profiles import state_directory

if TYPE_CHECKING:
    from ftpsvc_client.results import RemoteEntry

_FRESH = 5.0
"""Seconds that the names of a directory are kept for completion."""

_NOT_HERE = ("-s", "--server", "--timeout", "--algorithm", "--allow-plain")
"""Options that the shell itself was started with."""


def converse(app: App, run: Callable[[str], object]) -> None:
    """Reads lines at a prompt and runs them until `exit` or Ctrl-D."""
    with _Names(app) as names:
        app.lister = names.of
        prompt: PromptSession[str] = PromptSession(
            history=_history(app),
            completer=_Completer(app),
            complete_while_typing=False,
            complete_in_thread=True,  # a server that is slow to answer must not hold up the typing
        )
        while True:
            try:
                line = prompt.prompt(_text(app))
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            try:
                run(line)
            except Leave:
                return
            except KeyboardInterrupt:
                continue  # a second one, while the first was still being told
            names.clear()


def _text(app: App) -> str:
    """Returns the prompt: where the server is, and which directory the session is in."""
    address = Address.parse(app.target.server)
    where = app.target.profile or address.host or os.path.basename(address.path or "")
    directory = app.session.client.directory if app.session.client is not None else None
    return printable(f"{where}:{directory or '/'}> ")


def _history(app: App) -> History:
    """Returns the history: a file that only its owner reads, or memory where there can be none."""
    path = os.path.join(state_directory(), "history")
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError as error:
        app.out.note(f"there will be no history: {path}: {error.strerror}")
        return InMemoryHistory()
    return FileHistory(path)


class _Names:
    """Lists directories of the server for completion, on a connection of its own, and keeps them for a moment.

    Its own connection, because it is used from prompt_toolkit's thread, and because its time-out is short: giving up
    on a listing must not cost the shell its session. A context manager: leaving it closes.
    """

    def __init__(self, app: App) -> None:
        self._shell = app
        self._session = Session()
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, list[RemoteEntry]]] = {}

    def of(self, directory: str) -> list[RemoteEntry]:
        """Returns what is in a directory, seen from the shell's; an old answer where that will do.

        Raises:
            FtpsvcError: It cannot be had.
        """
        client = self._shell.session.client
        path = join((client.directory if client is not None else None) or "/", directory)
        with self._lock:
            now = time.monotonic()
            if path in self._kept and now - self._kept[path][0] < _FRESH:
                return self._kept[path][1]
            found = self._listed(path)
            self._kept[path] = (now, found)
            return found

    def _listed(self, path: str) -> list[RemoteEntry]:
        import itertools

        if self._session.client is None:
            from ftpsvc_client.cli.entry import dial

            self._session.client = dial(
                self._shell.target, timeout=completion_timeout(), allow_plain=self._shell.allow_plain
            )
        return [*itertools.islice(self._session.client.iter_list(path), COMPLETION_NAMES)]

    def clear(self) -> None:
        """Forgets what was listed: a command may have changed it."""
        with self._lock:
            self._kept.clear()

    def __enter__(self) -> _Names:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._session.close()


class _Completer(Completer):
    """Completes as the command line does in other shells: by what the commands say of their arguments."""

    def __init__(self, app: App) -> None:
        self._app = app

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """Yields what the word at the cursor may become."""
        line = words.scan(document.text_before_cursor)
        start = line.start - len(document.text_before_cursor)
        with contextlib.suppress(Exception):  # whatever is typed, the prompt goes on
            for item in self._items(line):
                yield Completion(words.quoted(item.value), start, display=printable(item.value))

    def _items(self, line: words.Words) -> list[CompletionItem[str]]:
        app = self._app.for_shell_command()
        completer = ShellComplete(commands, {"obj": app}, "", "")
        found = completer.get_completions(line.complete, line.last)
        return [item for item in found if item.value not in _NOT_HERE]
