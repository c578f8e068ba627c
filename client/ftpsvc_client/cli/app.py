"""What the commands of one run share: settings, the server, one connection, and who prints."""

from __future__ import annotations

import contextlib
import copy
import gc
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ftpsvc.exceptions import (
    AuthenticationFailed,
    ConfigError,
    FtpsvcError,
    InvalidPath,
    LocalProtocolError,
    NotADirectory,
    NotFound,
    PermissionDenied,
    RemoteProtocolError,
    TransportError,
    UntrustedServer,
)
from ftpsvc_client.cli import exits
from ftpsvc_client.cli.output import Output
from ftpsvc_client.cli.startup import without_plugins
from ftpsvc_client.profiles import Directories, Profiles, Target, choose

if TYPE_CHECKING:
    from ftpsvc_client.client import Client
    from ftpsvc_client.progress import Watch
    from ftpsvc_client.results import RemoteEntry
    from ftpsvc_client.retries import Retry

SERVER_VARIABLE = "FTPSVC_SERVER"
DEFAULT_TIMEOUT = 60.0
DEFAULT_RETRIES = 5
"""With the pauses in between a quarter of a minute: Wi-Fi that comes back, a server that restarts."""
COMPLETION_SECONDS_VARIABLE = "FTPSVC_COMPLETION_TIMEOUT"
_COMPLETION_TIMEOUT = 2.0
COMPLETION_NAMES = 5000
"""Names of a directory that completion looks at: what is beyond is typed."""

_Item = TypeVar("_Item")
Hints: TypeAlias = Mapping[type[FtpsvcError], str]


class Reported(Exception):  # not an error of its own: it was told already
    """Ends a command whose failures have been told.

    Attributes:
        code: The exit code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class NobodyReads(Exception):
    """Whoever read stdout stopped reading: the command ends, and says nothing."""


class Session:
    """One server, and the one connection to it, made when it is first needed. A context manager: leaving it closes."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.target: Target | None = None
        self.watch: Watch | None = None

    def close(self) -> None:
        """Closes the connection, if there is one."""
        client, self.client = self.client, None
        if client is not None:
            client.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class App:
    """One run of one command.

    Attributes:
        session: The connection, shared by the commands of a shell.
        out: Who prints.
        server: `--server`: a URL, a profile's name, or None for what the environment or the default profile says.
        timeout: Seconds without progress after which anything is given up.
        retries: How often in a row something is tried again after an error that passes.
        algorithm: Digest algorithm asked for, or None for the server's choice.
        allow_plain: Whether a password may cross a plain connection to another machine.
        asks: Whether a person may be asked about a server that was never seen.
        in_shell: Whether the command was typed at the prompt of `ftpsvc shell`.
        hints: What to do next about an error of a class, where the error itself has no better hint.
        account: Says, after an interruption, what was and was not done; None where there is nothing to say.
        lister: Lists a directory of the server for completion, in place of this command's own connection.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.out = Output()
        self.server: str | None = None
        self.timeout = DEFAULT_TIMEOUT
        self.algorithm: str | None = None
        self.allow_plain = False
        self.retries = DEFAULT_RETRIES
        self.asks = True
        self.in_shell = False
        self.hints: Hints = {}
        self.account: Callable[[], str] | None = None
        self.lister: Callable[[str], list[RemoteEntry]] | None = None

    @property
    def expands(self) -> bool:
        """Whether patterns and `~` reach us as they were typed: at our own prompt, and from Windows' shells."""
        return self.in_shell or os.name == "nt"

    def for_shell_command(self) -> App:
        """Returns a copy for one command of a shell: what its options set ends with it."""
        app = copy.copy(self)
        app.out = copy.copy(self.out)
        app.in_shell = True
        app.account = None
        app.hints = {}
        return app

    # ------------------------------------------------------------ the server

    @property
    def target(self) -> Target:
        """The server that is meant.

        Raises:
            ConfigError: There is none, or it makes no sense.
        """
        if self.session.target is None:
            given = self.server or os.environ.get(SERVER_VARIABLE) or None
            self.session.target = choose(given, Profiles())
        return self.session.target

    def client(self) -> Client:
        """Returns the connection, made now if there is none yet, in the directory that `ftpsvc cd` set.

        Raises:
            ConfigError: No server is given, or it makes no sense.
            FtpsvcError: It cannot be reached, or refuses.
        """
        client = self.session.client
        if client is None:
            directory = Directories().get(self.target)
            try:
                client = self.connect(directory)
            except (NotFound, NotADirectory, PermissionDenied, InvalidPath) as error:
                if directory is None:
                    raise
                error.hint = "that is where `ftpsvc cd` went; `ftpsvc cd /` goes back to the root"
                raise
        return client

    def connect(self, directory: str | None) -> Client:
        """Connects, with `directory` to start in; None is the server's root.

        Raises:
            FtpsvcError: It cannot be reached, or refuses.
        """
        without_plugins()
        from ftpsvc_client.cli.entry import dial

        self.out.detail(f"connecting to {self.target.server}")
        client = dial(
            self.target, timeout=self.timeout, algorithm=self.algorithm, directory=directory, ask=self.asks,
            allow_plain=self.allow_plain, retries=self.retries, told=self._told,
        )  # fmt: skip
        self.session.client = client
        # Off while things are loaded (`main`). What was loaded is never garbage, what a shell or a tree makes may be.
        gc.freeze()
        gc.enable()
        if client.greeting.banner and not self.in_shell:
            self.out.detail(f"the server says: {client.greeting.banner}")
        self.out.detail(f"connected, digests by {client.algorithm}")
        return client

    def _told(self, retry: Retry) -> None:
        if self.session.watch is not None:
            self.session.watch.close()  # its line is needed; the bars come back
        self.out.note(
            f"{retry.error}; trying again in {retry.seconds:.1f} s ({retry.number} of {retry.most})"
        )

    def names_in(self, directory: str) -> list[RemoteEntry]:
        """Returns what is in a directory of the server, for completion: quickly, and not more than anybody reads.

        Raises:
            FtpsvcError: It cannot be had.
        """
        if self.lister is not None:
            return self.lister(directory)
        self.timeout = min(self.timeout, completion_timeout())
        self.asks = False
        self.retries = 0
        return [*itertools.islice(self.client().iter_list(directory), COMPLETION_NAMES)]

    # ------------------------------------------------------------ what commands do

    def watch(self, *, verb: str, names: int) -> Watch:
        """Returns who watches the transfers of this command, and from now on accounts for them.

        Args:
            verb: What becomes of a file, for that account: `stored` or `fetched`.
            names: How many files and trees were asked for.
        """
        from ftpsvc_client.progress import Watch

        watch = Watch(verb=verb, names=names, show=not self.out.quiet)
        self.account = watch.account
        self.session.watch = watch
        return watch

    def each(self, items: Sequence[_Item], act: Callable[[_Item], Any]) -> None:
        """Does something for each name; one that fails does not keep the others from being done.

        Raises:
            Reported: Some failed, and that has been told.
            FtpsvcError: The only one failed; or the connection did, and what comes after it was not tried.
        """
        failed: list[int] = []
        for item in items:
            try:
                act(item)
            except (
                TransportError,
                RemoteProtocolError,
                LocalProtocolError,
                AuthenticationFailed,
                UntrustedServer,
                ConfigError,
            ):
                raise
            except (FtpsvcError, Reported) as error:
                if len(items) == 1:
                    raise
                if isinstance(error, Reported):
                    failed.append(error.code)
                else:
                    self.tell(error)
                    failed.append(exits.code_of(error))
        if failed:
            raise Reported(exits.code_of_several(failed, len(items)))

    def tell(self, error: FtpsvcError) -> None:
        """Says what went wrong, and what to do next."""
        self.out.error(str(error))
        hint = self.hint_for(error)
        if hint is not None:
            self.out.hint(hint)

    def hint_for(self, error: FtpsvcError) -> str | None:
        """Returns what to do next about an error, or None."""
        hint = error.hint or self.hints.get(type(error))
        if hint is None and type(error) is AuthenticationFailed and self.session.target is not None:
            from ftpsvc_client.cli.entry import login_command, user_of

            with contextlib.suppress(ConfigError):
                return login_command(self.session.target.server, user_of(self.session.target))
        return hint


def completion_timeout() -> float:
    """Returns the seconds that a server has to answer completion: what the environment says, or two.

    A prompt is no place for errors: what is no number there says nothing.
    """
    with contextlib.suppress(ValueError):
        seconds = float(os.environ.get(COMPLETION_SECONDS_VARIABLE) or _COMPLETION_TIMEOUT)
        if 0 < seconds <= DEFAULT_TIMEOUT:
            return seconds
    return _COMPLETION_TIMEOUT


def unsure() -> str:
    """The account of a command that was interrupted while the server may have been at it."""
    return "what was asked for may or may not have been done"
