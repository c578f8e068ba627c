"""Every request by its name. Only a server needs them all; a client makes those that it sends.

Source: docs/protocol.md section 6.
"""

from ftpsvc.protocol.headers.accounts import Auth, IssueToken, RevokeToken, SetPassword, Whoami
from ftpsvc.protocol.headers.base import Request
from ftpsvc.protocol.headers.content import Begin, Get, Put, Verify
from ftpsvc.protocol.headers.delta import Blocks, Patch
from ftpsvc.protocol.headers.homework import Assignments, SubmitBegin, SubmitCommit
from ftpsvc.protocol.headers.listing import Ls, Stat
from ftpsvc.protocol.headers.names import Cd, Df, Mkdir, Mv, Pwd, Rm
from ftpsvc.protocol.headers.session import Quit

REQUESTS: dict[str, type[Request]] = {
    str(cls.model_fields["op"].default): cls
    for cls in (
        *(Put, Get, Ls, Cd, Pwd, Stat, Mkdir, Rm, Mv, Df, Verify),
        *(Auth, Whoami, SetPassword, IssueToken, RevokeToken, Begin, Blocks, Patch, Quit),
        *(Assignments, SubmitBegin, SubmitCommit),
    )
}
