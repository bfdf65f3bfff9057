"""A process's memory at the very end of its life, when exit(3) is through and nothing of it is freed yet: ptrace(2) stops it there."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from typing import Iterator

SEIZE, CONT, DETACH = 0x4206, 7, 17
TRACE_EXIT = 0x40
EVENT_EXIT, EVENT_STOP = 6, 128

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(what: int, pid: int, data: int = 0) -> None:
    if _libc.ptrace(what, pid, None, data) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace {what} of {pid}")


def seize(pid: int) -> None:
    """From now on its end is ours to see. It goes on running; stopped_at_exit() has to follow, in the same thread."""
    _ptrace(SEIZE, pid, TRACE_EXIT)


@contextlib.contextmanager
def stopped_at_exit(pid: int) -> Iterator[None]:
    """Waits until it is about to be gone, passing its signals on; behind it, it is gone."""
    while True:
        _, status = os.waitpid(pid, 0)
        assert os.WIFSTOPPED(status), f"it ended unseen: {status}"
        event, number = status >> 16, os.WSTOPSIG(status)
        if event == EVENT_EXIT:
            break
        _ptrace(CONT, pid, 0 if event == EVENT_STOP or number == signal.SIGTRAP else number)
    try:
        yield
    finally:
        _ptrace(DETACH, pid)
