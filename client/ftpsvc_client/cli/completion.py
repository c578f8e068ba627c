"""Completion of commands, options, profiles, and of names on both sides, for other shells and for our own.

A shell asks by running `ftpsvc` with the variable `_FTPSVC_COMPLETE`, which is click's way; what the command line means
is for click to say, too. What cannot be answered within a moment is not answered at all, and nothing is ever said about
it: a prompt is no place for errors.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

from ftpsvc.exceptions import FtpsvcError
from ftpsvc.paths import is_addressable
from ftpsvc_client.cli import words
from ftpsvc_client.cli.app import App, Session
from ftpsvc_client.cli.params import common_options, examples

if TYPE_CHECKING:
    from ftpsvc_client.results import RemoteEntry

PROGRAM = "ftpsvc"
VARIABLE = "_FTPSVC_COMPLETE"

_MOST = 1000
"""Names that are offered at most: a shell that has more asks whether to show them all, and nobody wants to see them."""
_FILES = "file"
"""The type of an item that leaves completion to the shell: local names are its own business."""

# What comes back is one line for each word that the last one may become, behind an `=`; a lone `/` stands for local
# names. click's own scripts put names with blanks or commas into the line as they are, and blanks behind directories.
_BASH = r"""# completion of ftpsvc for bash
%(complete_func)s() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            /) compopt -o default 2>/dev/null ;;
            =*) COMPREPLY+=("${line#=}") ;;
        esac
    done < <(
        COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \
            %(complete_var)s=bash_complete "$1" 2>/dev/null
    )
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace 2>/dev/null
}
complete -o nosort -F %(complete_func)s %(prog_name)s 2>/dev/null ||
    complete -F %(complete_func)s %(prog_name)s
"""

_ZSH = r"""#compdef %(prog_name)s
%(complete_func)s() {
    local line
    local -a directories others
    (( $+commands[%(prog_name)s] )) || return 1
    for line in "${(@f)$(COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \
            %(complete_var)s=zsh_complete %(prog_name)s 2>/dev/null)}"; do
        case $line in
            /) _files ;;
            '='*/) directories+=("${line#=}") ;;
            '='*) others+=("${line#=}") ;;
        esac
    done
    (( $#directories )) && compadd -U -S '' -V unsorted -a directories
    (( $#others )) && compadd -U -V unsorted -a others
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = r"""# completion of ftpsvc for fish
function %(complete_func)s
    for line in (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp | string collect) \
            COMP_CWORD=(commandline -ct | string collect) %(prog_name)s 2>/dev/null)
        switch $line
            case /
                __fish_complete_path (commandline -ct)
            case '=*'
                string sub --start 2 -- $line
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


def _reply(item: CompletionItem[str]) -> str:
    return "/" if item.type == _FILES else f"={item.value}"


class _Bash(BashComplete):
    """bash: the whole line is read by us, and what comes back is quoted to go on where the line ends."""

    source_template = _BASH

    def source(self) -> str:
        return self.source_template % self.source_vars()  # without asking bash for its version

    def get_completion_args(self) -> tuple[list[str], str]:
        line = words.scan(os.environ["COMP_LINE"], escapes=True)
        names = [os.path.basename(word) for word in line.complete]
        begin = names.index(self.prog_name) + 1 if self.prog_name in names else 1
        return line.complete[begin:], line.last

    def complete(self) -> str:
        text = os.environ["COMP_LINE"]
        line = words.scan(text, escapes=True)
        raw = text[line.start :]
        # bash takes some characters for the end of a word, and replaces only what comes behind the last of them.
        breaks = set(os.environ.get("COMP_WORDBREAKS", "")) & set(":=")
        cut = 0 if line.quote else max((raw.rfind(char) + 1 for char in breaks), default=0)
        self._kept = words.scan(raw[:cut], escapes=True).last
        self._quote = line.quote
        return super().complete()

    def format_completion(self, item: CompletionItem[str]) -> str:
        if item.type == _FILES or not item.value.startswith(self._kept):
            return _reply(item)
        return "=" + words.escaped(item.value[len(self._kept) :], self._quote)


class _Zsh(ZshComplete):
    """zsh: it quotes by itself."""

    source_template = _ZSH

    def format_completion(self, item: CompletionItem[str]) -> str:
        return _reply(item)


class _Fish(FishComplete):
    """fish: it quotes by itself."""

    source_template = _FISH

    def format_completion(self, item: CompletionItem[str]) -> str:
        return _reply(item)


_CLASSES: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


@click.command(
    epilog=examples(
        'bash:  eval "$(ftpsvc completion bash)"    in ~/.bashrc',
        'zsh:   eval "$(ftpsvc completion zsh)"     in ~/.zshrc, behind compinit',
        "fish:  ftpsvc completion fish > ~/.config/fish/completions/ftpsvc.fish",
    )
)
@click.argument("shell", type=click.Choice([*_CLASSES]))
@common_options
def completion(shell: str) -> None:
    """Prints the script that makes a shell complete `ftpsvc`, names on the server included."""
    _print(_completer(shell, None))


def answer(instruction: str) -> int:
    """Answers a shell: `SHELL_complete` says what a line may become, `SHELL_source` is the script.

    Returns:
        The exit code.
    """
    shell, _, what = instruction.partition("_")
    if shell not in _CLASSES or what not in ("source", "complete"):
        return 1
    with Session() as session:
        app = App(session)
        app.out.quiet = True
        try:
            _print(_completer(shell, app if what == "complete" else None))
        except Exception:  # noqa: BLE001  # nothing may be said in the middle of somebody's command line
            return 1
    return 0


def _completer(shell: str, app: App | None) -> str:
    """Returns the script for a shell, or with an App the answer to what it asks in the environment."""
    from ftpsvc_client.cli.commands import ftpsvc

    completer = _CLASSES[shell](ftpsvc, {"obj": app}, PROGRAM, VARIABLE)
    return completer.source() if app is None else completer.complete()


def _print(text: str) -> None:
    # As bytes: Windows would end the lines of a script in a way that no shell reads.
    sys.stdout.buffer.write(text.encode() + b"\n")
    sys.stdout.buffer.flush()


# ---------------------------------------------------------------- names


def remote_names(app: App | None, incomplete: str) -> list[CompletionItem[str]]:
    """Returns the names on the server that a word may become; none where the server does not answer at once."""
    if app is None:
        return []
    directory, slash, prefix = incomplete.rpartition("/")
    try:
        entries = app.names_in(directory + slash or ".")
    except (FtpsvcError, OSError):
        return []
    found = []
    for entry in entries:
        if _offered(entry, prefix):
            name = directory + slash + entry.path + ("/" if entry.kind == "dir" else "")
            found.append(CompletionItem("./" + name if name.startswith("-") else name))
    return found


def _offered(entry: RemoteEntry, prefix: str) -> bool:
    if entry.note is not None or not is_addressable(entry.path):
        return False
    return entry.path.startswith(prefix) and (bool(prefix) or not entry.path.startswith("."))


def side_names(app: App | None, incomplete: str) -> list[CompletionItem[str]]:
    """Returns the names that a side of `sync` may become: on the server behind a colon, else here."""
    profile, colon, path = incomplete.partition(":")
    if not colon or "/" in profile or os.sep in profile or (os.name == "nt" and len(profile) == 1):
        return local_names(app, incomplete)
    if app is None:
        return []
    if profile and not app.in_shell:
        app.server = profile
    return [CompletionItem(f"{profile}:{found.value}") for found in remote_names(app, path)]


def local_names(app: App | None, incomplete: str) -> list[CompletionItem[str]]:
    """Returns the local names that a word may become at our own prompt; other shells know that better themselves."""
    if app is None or not app.in_shell:
        return [CompletionItem(incomplete, type=_FILES)]
    head, tail = os.path.split(incomplete)
    given = incomplete[: len(incomplete) - len(tail)]
    found = []
    try:
        with os.scandir(os.path.expanduser(head) or os.curdir) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.startswith(tail) and (tail or not entry.name.startswith(".")):
                    name = given + entry.name + (os.sep if entry.is_dir() else "")
                    found.append(CompletionItem("./" + name if name.startswith("-") else name))
                    if len(found) == _MOST:
                        break
    except OSError:
        return []
    return found


def profile_names(incomplete: str) -> list[CompletionItem[str]]:
    """Returns the saved servers that a word may become."""
    from ftpsvc_client.profiles import Profiles

    return [CompletionItem(name) for name in Profiles().names() if name.startswith(incomplete)]
