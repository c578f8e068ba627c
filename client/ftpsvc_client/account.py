"""The calls about one's own account (docs/protocol.md sections 6.14 to 6.17)."""

from __future__ import annotations

from ftpsvc.protocol import headers
from ftpsvc_client.conversation import Conversation
from ftpsvc_client.results import Identity


class AccountCalls(Conversation):
    """Who one is, one's password and one's device tokens."""

    def whoami(self) -> Identity:
        """Returns who the session is."""
        found = self._again(lambda link: self._ask(link, headers.Whoami(), headers.Identified))
        return Identity(found.user, found.role, found.via, found.token, found.group, found.may)

    def set_password(self, password: str) -> None:
        """Sets one's own password. What is sent is a verifier, from which it cannot be had back.

        Raises:
            ConfigError: It is too short, or cannot be used in a log-in.
            PermissionDenied: The connection is neither TLS nor AF_UNIX.
            AuthenticationFailed: This is a guest.
        """
        from ftpsvc.credentials import Kind
        from ftpsvc.scram import check_new_password, derive

        check_new_password(password)
        verifier = derive(password, Kind.PASSWORD)
        with self._turn() as link:
            self._ask(link, headers.SetPassword(verifier=verifier.encode()), headers.Response)

    def issue_token(self, label: str) -> str:
        """Makes a device token for oneself and returns it in one piece, for `Credentials.token`.

        Args:
            label: What the device is called, for the list of tokens.

        Raises:
            PermissionDenied: The connection is neither TLS nor AF_UNIX.
            AuthenticationFailed: This is a guest.
        """
        from ftpsvc.credentials import Kind, new_token, token_text
        from ftpsvc.scram import derive

        secret = new_token()
        verifier = derive(secret, Kind.TOKEN)
        with self._turn() as link:
            issued = self._ask(
                link, headers.IssueToken(label=label, verifier=verifier.encode()), headers.TokenIssued
            )
        return token_text(issued.token, secret)

    def revoke_token(self, token_id: str | None = None) -> int:
        """Makes one of one's device tokens worthless, or with None all of them; returns how many went."""
        with self._turn() as link:
            return self._ask(link, headers.RevokeToken(token=token_id), headers.TokensRevoked).revoked
