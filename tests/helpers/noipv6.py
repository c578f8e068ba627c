"""Takes IPv6 away from a process, as a kernel without it does: the system refuses to make such sockets (Linux)."""

import ctypes
import errno
import platform
import socket
import struct
import sys

# The number of the call socket(2), and what the kernel calls the machine (linux/audit.h).
_SOCKET = {"x86_64": (41, 0xC000003E), "aarch64": (198, 0xC00000B7)}
AVAILABLE = sys.platform == "linux" and platform.machine() in _SOCKET

_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def without_ipv6() -> None:
    """Makes socket(AF_INET6, ...) fail with EAFNOSUPPORT, in this process and what it starts, for good."""
    number, machine = _SOCKET[platform.machine()]
    steps = [
        (_LOAD, 0, 0, 4), (_EQUAL, 0, 5, machine),
        (_LOAD, 0, 0, 0), (_EQUAL, 0, 3, number),
        (_LOAD, 0, 0, 16), (_EQUAL, 0, 1, socket.AF_INET6.value),
        (_RETURN, 0, 0, _ERROR | errno.EAFNOSUPPORT), (_RETURN, 0, 0, _ALLOW),
    ]  # fmt: skip
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(steps), code)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(
        _SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "seccomp")
