"""A filter of system calls, as the kernel's own bytecode: what no homework needs and what a sandbox cannot bound.

Two kinds are refused. Some would keep memory that belongs to no process and that no watcher sees: System V and POSIX
queues and shared memory, memfd, keyrings. The others open up parts of the kernel that have been a way out before:
tracing, bpf, io_uring, userfaultfd, and sockets of every family but AF_UNIX, AF_INET and AF_INET6 (AF_VSOCK reaches the
host of a virtual machine from any network namespace).
"""

from __future__ import annotations

import errno
import platform
import struct
from typing import Final

_REFUSED: Final[dict[str, tuple[int, int]]] = {  # name: number on x86_64, on aarch64; -1: not there
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "shmdt": (67, 197),
    "semget": (64, 190), "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192),
    "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187),
    "mq_open": (240, 180), "mq_unlink": (241, 181),
    "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265), "fanotify_init": (300, 262), "quotactl": (179, 60), "acct": (163, 89),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "syslog": (103, 116),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "personality": (135, 92),
    "uselib": (134, -1), "modify_ldt": (154, -1), "iopl": (172, -1), "ioperm": (173, -1),
}  # fmt: skip

_SOCKETS: Final = {"socket": (41, 198), "socketpair": (53, 199)}
_FAMILIES: Final = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6

_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH_*
_X32: Final = 0x40000000
"""The bit of x86_64's second numbering, in which every number above would be another."""

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = (
    0,
    4,
    16,
)  # offsets in struct seccomp_data, both machines little-endian
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EPERM
_UNKNOWN: Final = 0x00050000 | errno.ENOSYS
_NO_FAMILY: Final = 0x00050000 | errno.EAFNOSUPPORT


def refused() -> frozenset[str]:
    """Returns the names of the calls that are refused altogether."""
    return frozenset(_REFUSED)


def program(machine: str | None = None) -> bytes | None:
    """Returns the filter as an array of struct sock_filter, or None for a machine that it does not know.

    Args:
        machine: As `uname -m` says it; None means this one.
    """
    known = _MACHINES.get(machine or platform.machine())
    if known is None:
        return None
    column, architecture = known
    code = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, architecture, 1, 0),
        _step(_RETURN, _UNKNOWN),
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, _X32, 0, 1),
        _step(_RETURN, _UNKNOWN),
    ]
    for numbers in _REFUSED.values():
        if numbers[column] >= 0:
            code += [_step(_EQUAL, numbers[column], 0, 1), _step(_RETURN, _REFUSE)]
    first, second = (numbers[column] for numbers in _SOCKETS.values())
    code += [
        _step(_EQUAL, first, 2, 0),
        _step(_EQUAL, second, 1, 0),
        _step(_RETURN, _ALLOW),
        _step(_LOAD, _FIRST_ARGUMENT),
    ]
    for left, family in zip(range(len(_FAMILIES), 0, -1), _FAMILIES, strict=True):
        code.append(_step(_EQUAL, family, left, 0))
    code += [_step(_RETURN, _NO_FAMILY), _step(_RETURN, _ALLOW)]
    return b"".join(code)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)
