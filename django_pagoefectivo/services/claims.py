"""Who works on a queued duty: a name for this process, and whether another still lives.

A process that dies leaves its claims behind. They run out with their lease; where the
claimant ran on this very machine, its death can be seen at once and nobody has to wait.
"""

from __future__ import annotations

import hashlib
import os
import socket
from functools import lru_cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")
#: Where the start time stands in /proc/<pid>/stat behind the command's closing bracket.
_START_TIME = 19


@lru_cache(maxsize=1)
def _machine() -> str:
    """What tells this machine (and container) from others that may use the same pids."""
    parts = [socket.gethostname()]
    try:
        parts += [_BOOT_ID.read_text().strip(), str(_PID_NAMESPACE.stat().st_ino)]
    except OSError:
        # Without these a container could not be told from its host: judge nobody dead.
        parts.append(os.urandom(16).hex())
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _started(pid: int) -> str | None:
    """When process ``pid`` started, in ticks since boot; ``None`` if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    # A zombie keeps its entry until it is reaped, but works on nothing.
    return None if fields[0] in "ZX" else fields[_START_TIME]


def _identity(pid: int) -> str:
    return f"{_machine()}:{pid}:{_started(pid) or 0}"


@lru_cache(maxsize=1)
def _own(pid: int) -> str:
    return _identity(pid)


def own_identity() -> str:
    """The name of this process; another one after a fork."""
    return _own(os.getpid())


def machine_prefix() -> str:
    """What the names of all processes of this machine begin with."""
    return f"{_machine()}:"


def is_dead(identity: str) -> bool:
    """Whether the process of that name ran on this machine and is gone for certain."""
    machine, _, rest = identity.partition(":")
    pid, _, started = rest.partition(":")
    if machine != _machine() or not pid.isdigit():
        return False
    return _started(int(pid)) != started
