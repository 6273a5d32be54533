"""Cutting a process off the network for good, with a seccomp filter: no privileges are needed, and none undoes it."""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

_SET_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF: load word, jump if equal, if at least, return

_MACHINES = {
    "x86_64": (0xC000003E, (41, 42, 53, 425)),
    "aarch64": (0xC00000B7, (198, 203, 199, 425)),
}
"""AUDIT_ARCH, and the numbers of socket, connect, socketpair and io_uring_setup."""


def cut_network() -> bool:
    """Refuse every new socket of this process and its children with EPERM; False where that is not possible."""
    known = _MACHINES.get(platform.machine())
    if known is None or platform.system() != "Linux":
        return False
    program = _program(*known)
    buffer = ctypes.create_string_buffer(program)

    class _Fprog(ctypes.Structure):
        _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    held = _Fprog(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    return not libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(held), 0, 0)


def _program(arch: int, refused: tuple[int, ...]) -> bytes:
    """Another architecture's calls (32 bit, x32) end the process; the refused ones get EPERM."""
    lines = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    lines += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]
    lines += [(_EQUAL, len(refused) - k, 0, n) for k, n in enumerate(refused)]
    lines += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    return b"".join(struct.pack("HBBI", *line) for line in lines)
