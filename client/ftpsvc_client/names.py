"""The calls about names on the server: what is there, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator

from ftpsvc.protocol import headers
from ftpsvc_client import listing
from ftpsvc_client.conversation import Conversation
from ftpsvc_client.link import Link
from ftpsvc_client.results import RemoteEntry, Space


class NameCalls(Conversation):
    """Listings, directories, removal and renaming."""

    def stat(self, remote: str = ".") -> RemoteEntry:
        """Returns what is at a path.

        Raises:
            NotFound: Nothing is. FtpsvcError: any other refusal, or the connection's end.
        """
        return self._again(lambda link: listing.stat(link, remote))

    def list(
        self,
        remote: str = ".",
        *,
        recursive: bool = False,
        digests: bool = False,
        algorithm: str | None = None,
    ) -> list[RemoteEntry]:
        """Returns the entries of a directory, ordered by name, or a file's own entry.

        Args:
            remote: What to list.
            recursive: Whether to descend; paths are then relative to `remote`.
            digests: Whether to have digests, which the server computes where it has none on record.
            algorithm: Which digests; None is whichever is on record.

        Raises:
            NotFound: Nothing is there. FtpsvcError: any other refusal, or the connection's end.
        """
        return [*self.iter_list(remote, recursive=recursive, digests=digests, algorithm=algorithm)]

    def iter_list(
        self,
        remote: str = ".",
        *,
        recursive: bool = False,
        digests: bool = False,
        algorithm: str | None = None,
    ) -> Iterator[RemoteEntry]:
        """As `list`, page by page: a directory of any size costs the memory of one page.

        Between two pages the client may be used for other calls.
        """
        pages = listing.Pages(remote, recursive=recursive, digests=digests, algorithm=algorithm)
        while not pages.done:
            yield from self._again(pages.next_page)

    def cd(self, remote: str) -> str:
        """Changes the session's directory and returns it, absolute.

        Raises:
            NotFound, NotADirectory: There is none; the session stays where it was.
        """
        before = self._directory
        if remote.startswith("/"):
            self._directory = None  # where we were does not matter, and may be gone
        try:
            path = self._again(lambda link: self._ask(link, headers.Cd(path=remote), headers.Located).path)
        except BaseException:
            self._directory = before
            raise
        self._directory = path
        return path

    def pwd(self) -> str:
        """Returns the session's directory, absolute."""

        def ask(link: Link) -> str:
            request = headers.Pwd() if "pwd" in link.features else headers.Cd(path=".")
            return self._ask(link, request, headers.Located).path

        return self._again(ask)

    def is_directory(self, remote: str) -> bool:
        """Returns whether there is a directory at `remote`; False also when nothing is."""
        return self._again(lambda link: listing.is_directory(link, remote))

    def mkdir(self, remote: str, *, parents: bool = False) -> bool:
        """Makes a directory.

        Args:
            remote: The directory.
            parents: Whether to make what is missing on the way; it is no error then if the directory is there.

        Returns:
            Whether it was made.

        Raises:
            AlreadyExists: The name is taken. NotFound: the parent is missing, and `parents` is False.
        """

        def ask(link: Link) -> bool:
            return self._ask(link, headers.Mkdir(path=remote, parents=parents), headers.Made).created

        if parents:
            return self._again(ask)
        with self._turn() as link:
            return ask(link)

    def remove(self, remote: str, *, recursive: bool = False) -> int:
        """Removes a file or directory and returns how many names went.

        Raises:
            DirectoryNotEmpty: It has content, and `recursive` is False. NotFound: there is nothing.
        """
        with self._turn() as link:
            # A large tree takes its time, and silence is all that can be heard of it.
            return self._ask(
                link,
                headers.Rm(path=remote, recursive=recursive),
                headers.Removed,
                wait=600 if recursive else 0,
            ).removed

    def rename(self, source: str, target: str, *, clobber: bool = True) -> str:
        """Gives a file or directory another path and returns it, absolute.

        Args:
            source: What there is.
            target: What it will be called; the exact new path, not a directory to move it into.
            clobber: Whether a file of that name may be replaced.

        Raises:
            AlreadyExists: The name is taken, and `clobber` is False or it is a directory. NotFound: no `source`.
        """
        with self._turn() as link:
            return self._ask(link, headers.Mv(path=source, to=target, clobber=clobber), headers.Located).path

    def space(self) -> Space:
        """Returns how much room there is on the server."""
        room = self._again(lambda link: self._ask(link, headers.Df(), headers.Room))
        return Space(room.limit, room.used, room.reserved, room.free)
