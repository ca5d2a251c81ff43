"""What a server's processes cost, read from /proc: processor time, memory, and how often the kernel took the core away.

A server is a session: whatever it forks belongs to it, and so do the descendants that made a session of their own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
STATE, PARENT, SESSION, USER_TIME, SYSTEM_TIME = 0, 1, 3, 11, 12
"""Where proc(5) has them in /proc/PID/stat, counted from behind the command's name."""


def members(session: int) -> set[int]:
    """The live processes of a session and all that descend from one."""
    parents: dict[int, int] = {}
    found = set()
    for entry in os.listdir("/proc"):
        fields = _stat(entry) if entry.isdigit() else []
        if not fields or fields[STATE] == "Z":
            continue
        parents[int(entry)] = int(fields[PARENT])
        if int(fields[SESSION]) == session:
            found.add(int(entry))
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in found} - found
        found |= children
        grown = bool(children)
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor seconds that these processes have used so far."""
    stats = [fields for pid in pids if (fields := _stat(str(pid)))]
    return sum(int(fields[USER_TIME]) + int(fields[SYSTEM_TIME]) for fields in stats) / TICKS


def machine_seconds() -> float:
    """Processor seconds that everything on this machine has used so far: all of proc(5)'s counters but idle and iowait."""
    spent = [int(field) for field in _text(Path("/proc/stat")).partition("\n")[0].split()[1:9]]
    return (sum(spent) - spent[3] - spent[4]) / TICKS


def own_seconds() -> float:
    """Processor seconds of this process and of the children that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def forced_switches(pids: Iterable[int]) -> int:
    """How often the kernel took the core away from these processes' threads: what tail latencies are often made of."""
    texts = [_text(path) for pid in pids for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return sum(int(found[1]) for text in texts if (found := re.search(r"nonvoluntary_ctxt_switches:\s+(\d+)", text)))


def memory_mib(pids: Iterable[int]) -> float:
    """Their proportional set size in MiB: pages that several share are counted once."""
    texts = [_text(Path(f"/proc/{pid}/smaps_rollup")) for pid in pids]
    return sum(int(found[1]) for text in texts if (found := re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE))) / 1024


def _stat(pid: str) -> list[str]:
    """The fields behind the command's name, which may hold spaces and brackets; none where the process is gone."""
    return _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
