"""How many cores this process may use: the smallest of its cgroup quotas and its affinity, never what the host has.

    /proc/self/cgroup + /proc/self/mountinfo -> every enclosing group -> quota / period -> the least of them, rounded up

`nproc` answers `OMP_NUM_THREADS` and `os.cpu_count()` the host's cores: a container of two cores on a host of 64 would start
64 model processes. A group inside another is held by both, so every group up to the mount counts. All files are read below
`root`, so that a test can lay out a tree of its own.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Mount(NamedTuple):
    """A cgroup hierarchy: which group its mount shows (`group`), where, and the controllers (none: version 2)."""

    group: str
    point: str
    controllers: frozenset[str]


def count(root: Path = Path("/"), affinity: int | None = None) -> int:
    """Cores to plan for, at least 1; a quota of 1.5 cores counts as 2. `affinity` stands in for the scheduler's answer."""
    allowed = len(os.sched_getaffinity(0)) if affinity is None else affinity
    return max(1, min([allowed, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """The quota, in cores, of each cgroup that holds this process and has one."""
    own = _own_groups(root)
    for mount in _mounts(root):
        controller = "cpu" if "cpu" in mount.controllers else ""
        if mount.controllers and not controller:
            continue
        for folder in _enclosing(root, mount, own.get(controller, "/")):
            quota = _version1(folder) if controller else _version2(folder)
            if quota is not None:
                yield quota


def _own_groups(root: Path) -> dict[str, str]:
    """Own group of the process for each controller; version 2 has the empty name (cgroups(7), /proc/PID/cgroup)."""
    groups: dict[str, str] = {}
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        groups.update(dict.fromkeys(names.split(","), path))
    return groups


def _mounts(root: Path) -> list[Mount]:
    """The cgroup mounts (proc(5), mountinfo: fields 4 and 5, then the type and options after the lone dash)."""
    mounts = []
    for line in _text(root / "proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        controllers = frozenset(kind[2].split(",")) if kind[0] == "cgroup" else frozenset()
        mounts.append(Mount(fields[3], fields[4], controllers))
    return mounts


def _enclosing(root: Path, mount: Mount, group: str) -> Iterator[Path]:
    """The folders of `group` and all groups around it, up to the mount; those that a container cannot see are left out.

    Docker with version 1 shows a container its own group at the mount, while /proc tells the host's path of it.
    """
    point = root / mount.point.lstrip("/")
    inside = mount.group.rstrip("/")
    relative = group[len(inside) :] if (group + "/").startswith(inside + "/") else "/"
    parts = [part for part in relative.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        yield point.joinpath(*parts[:depth])


def _version1(folder: Path) -> float | None:
    quota, period = _text(folder / "cpu.cfs_quota_us").strip(), _text(folder / "cpu.cfs_period_us").strip()
    return _ratio(quota, period)


def _version2(folder: Path) -> float | None:
    quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
    return _ratio(quota, period or "100000")


def _ratio(quota: str, period: str) -> float | None:
    """Cores, or None where there is no limit: `-1` in version 1, `max` in version 2, or no such file."""
    if not quota.isdigit() or not period.isdigit() or int(quota) == 0 or int(period) == 0:
        return None
    return int(quota) / int(period)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
