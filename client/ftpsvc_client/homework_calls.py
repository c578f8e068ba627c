"""The calls about homework. What does the work is imported by the first of them: most commands hand nothing in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftpsvc_client.conversation import Conversation

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from ftpsvc_client.homework import Course, HandIn, Offer
    from ftpsvc_client.watching import Progress


class HomeworkCalls(Conversation):
    """Assignments and hand-ins. Only with a server that has them, and after a log-in."""

    def assignments(self) -> Course:
        """Returns what there is to be handed in, and how one stands.

        Raises:
            AuthenticationFailed: This is a guest.
            InvalidRequest: The server has no assignments.
        """
        from ftpsvc_client.homework import Homework

        return Homework(self).assignments()

    def submit(
        self,
        assignment: str,
        sources: Sequence[str | os.PathLike[str]],
        *,
        late: bool | Callable[[Offer], bool] = False,
        offered: Callable[[Offer], object] | None = None,
        receipts: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> HandIn:
        """Hands files in as one version, or not at all.

        What arrived before an interruption is kept by the server, and the next call with the same files goes on.

        Args:
            assignment: Its id.
            sources: A directory, with all that is in it; or files and directories under the paths that they are given
                by (`ftpsvc_client.handin.collect`).
            late: Whether it may be late, if that costs something; or who decides that.
            offered: Is told what is sent before anything is.
            receipts: Folder that the receipt, or the note of a refusal, is kept in; None is `.ftpsvc/receipts` in the
                one directory that is handed in, else in the working directory.
            progress: Who is told how it goes on.

        Returns:
            What was handed in. The receipt is signed, says these very files, and is kept.

        Raises:
            HandInRefused: It was not taken, with all that is wrong; it cost nothing. Also: it is late, and `late` is
                not true.
            BadReceipt: The server's receipt is not genuine, or not of these files. It may be handed in all the same.
            Changed: A file changed while it was sent.
            NotFound: There is no such assignment. FtpsvcError: any other refusal, the disk, or the connection's end.
        """
        from ftpsvc_client.homework import Homework

        return Homework(self).submit(
            assignment, sources, late=late, offered=offered, receipts=receipts, progress=progress
        )
