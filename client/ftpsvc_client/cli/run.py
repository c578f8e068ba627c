"""One run of the command line: from arguments to an exit code, whatever happens on the way."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import click

from ftpsvc.exceptions import FtpsvcError, InvalidPath, LocalProtocolError
from ftpsvc_client.cli import exits
from ftpsvc_client.cli.app import App, NobodyReads, Reported, Session
from ftpsvc_client.cli.commands import ftpsvc
from ftpsvc_client.cli.output import PROGRAM, prepare_streams

COMPLETION_VARIABLE = "_FTPSVC_COMPLETE"


class Terminated(BaseException):
    """SIGTERM: like Ctrl-C, so that nothing half-done is left behind, but with its own exit code."""


def run(arguments: Sequence[str]) -> int:
    """Runs a command and returns its exit code. stdout and stderr are flushed, the connection is closed.

    Args:
        arguments: What stands behind `ftpsvc` on the command line.
    """
    prepare_streams()
    instruction = os.environ.get(COMPLETION_VARIABLE)
    if instruction:
        from ftpsvc_client.cli.completion import answer

        return answer(instruction)
    session = Session()
    with _sigterm():
        app = App(session)
        code = _flushed(guarded(app, lambda: invoke(ftpsvc, arguments, app)))
        # Only now the goodbye, which waits for the server's: nobody should have to wait for it with the data in hand.
        with contextlib.suppress(KeyboardInterrupt, Terminated):
            session.close()
    return code


def invoke(command: click.Command, arguments: Sequence[str], app: App, name: str = PROGRAM) -> None:
    """Parses arguments and runs a command; what goes wrong comes out as it is.

    Raises:
        click.ClickException: The arguments make no sense.
        FtpsvcError, Reported, NobodyReads: The command failed.
    """
    # Not command.main(): that would end the process, expand patterns on Windows by its own rules, and tell errors in
    # its own words.
    with (
        contextlib.suppress(click.exceptions.Exit),
        command.make_context(name, list(arguments), obj=app) as context,
    ):
        command.invoke(context)


def guarded(app: App, work: Callable[[], None]) -> int:
    """Does something, tells what went wrong, and returns the exit code. Nothing but SystemExit comes out."""
    try:
        work()
    except Reported as reported:
        return reported.code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return exits.USAGE
    except click.ClickException as error:
        # click lists what may be chosen on lines of their own; an error is one line.
        app.out.error(error.format_message().replace("\n\t", " ").rstrip("."))
        context = getattr(error, "ctx", None)
        if context is not None:
            app.out.hint(f"`{context.command_path} --help` explains it")
        return exits.USAGE
    except LocalProtocolError as error:
        return _bug(app, error)
    except FtpsvcError as error:
        app.tell(error)
        _traceback(app)
        return exits.code_of(error)
    except (KeyboardInterrupt, Terminated) as stop:
        account = app.account() if app.account is not None else None
        app.out.new_line()
        app.out.error("interrupted" + (f": {account}" if account else ""))
        return exits.TERMINATED if isinstance(stop, Terminated) else exits.INTERRUPTED
    except (BrokenPipeError, NobodyReads):
        return exits.BROKEN_PIPE
    except UnicodeEncodeError as error:
        app.out.error(
            f"{error.object}: the encoding of names here is {error.encoding}, which cannot hold this one"
        )
        app.out.hint("a UTF-8 locale, or PYTHONUTF8=1 in the environment, can hold every name")
        _traceback(app)
        return exits.code_of_class(InvalidPath)
    except OSError as error:
        # Network and disk have become FtpsvcErrors: what is left is mostly stdout, on a full disk for instance.
        app.out.error(f"{error.filename or 'the output cannot be written'}: {error.strerror or error}")
        _traceback(app)
        return exits.FAILED
    except Exception as error:  # noqa: BLE001  # a person must never see a traceback that was not asked for
        return _bug(app, error)
    return exits.OK


def _bug(app: App, error: Exception) -> int:
    app.out.error(f"a fault in ftpsvc itself: {type(error).__name__}: {error}")
    app.out.hint("please report it to the project, with what the same command says under -vv")
    _traceback(app)
    return exits.FAILED


def _traceback(app: App) -> None:
    if app.out.verbose >= 2:
        import traceback

        traceback.print_exc()


@contextlib.contextmanager
def _sigterm() -> Iterator[None]:
    """Turns SIGTERM into an exception meanwhile, where that is possible."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _flushed(code: int) -> int:
    """Flushes what was printed, and returns the exit code: another one if that is not possible."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except BrokenPipeError:
            code = code or exits.BROKEN_PIPE
        except (OSError, ValueError) as error:
            if stream is sys.stdout and code == exits.OK:
                with contextlib.suppress(OSError, ValueError):
                    sys.stderr.write(f"{PROGRAM}: the output cannot be written: {error}\n")
                code = exits.FAILED
    return code
