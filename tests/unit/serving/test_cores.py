"""The count of cores, over trees of /proc and /sys files as kernels and container engines lay them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from serving import cores

V1_MOUNT = "33 25 0:29 {group} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
V1_MEMORY = "34 25 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
V2_MOUNT = "30 23 0:26 {group} /sys/fs/cgroup rw - cgroup2 cgroup2 rw"


def tree(root: Path, cgroup: str, mounts: list[str], files: dict[str, str]) -> Path:
    """A root folder with these /proc/self files and these files below /sys/fs/cgroup."""
    named = {"proc/self/cgroup": cgroup, "proc/self/mountinfo": "\n".join(mounts)}
    for name, text in {**named, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def v1(quota: int, folder: str = "cpu,cpuacct") -> dict[str, str]:
    """Files of a version 1 group with a quota in microseconds of 100 ms."""
    return {f"{folder}/cpu.cfs_quota_us": f"{quota}\n", f"{folder}/cpu.cfs_period_us": "100000\n"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("max 100000", 8),
        ("300000", 3),
        ("", 8),
        ("x y", 8),
        ("0 0", 8),
    ],
    ids=["two", "one and a half", "a tenth", "unlimited", "no period", "empty", "nonsense", "zeros"],
)
def test_version_2_quota(tmp_path: Path, text: str, expected: int) -> None:
    """A version 2 quota is rounded up to whole cores and never below one; no quota leaves the affinity."""
    root = tree(tmp_path, "0::/\n", [V2_MOUNT.format(group="/")], {"cpu.max": text})
    assert cores.count(root, affinity=8) == expected


@pytest.mark.parametrize(("quota", "expected"), [(200000, 2), (150000, 2), (50000, 1), (-1, 8)])
def test_version_1_quota(tmp_path: Path, quota: int, expected: int) -> None:
    """A version 1 quota counts the same way, and -1 is no limit."""
    root = tree(tmp_path, "4:cpu,cpuacct:/\n", [V1_MEMORY, V1_MOUNT.format(group="/")], v1(quota))
    assert cores.count(root, affinity=8) == expected


def test_nested_groups_hold_together(tmp_path: Path) -> None:
    """The least quota of all enclosing groups holds, wherever in the nest it is."""
    files = {"cpu.max": "max 100000", "pod/cpu.max": "300000 100000", "pod/box/cpu.max": "600000 100000"}
    root = tree(tmp_path, "0::/pod/box\n", [V2_MOUNT.format(group="/")], files)
    assert cores.count(root, affinity=16) == 3


def test_version_1_container_without_a_namespace(tmp_path: Path) -> None:
    """A container that is shown its own group at the mount and told the host's path finds its quota at the mount."""
    root = tree(tmp_path, "4:cpu,cpuacct:/docker/abc\n", [V1_MOUNT.format(group="/docker/abc")], v1(250000))
    assert cores.count(root, affinity=8) == 3


def test_group_inside_a_container(tmp_path: Path) -> None:
    """A group below the one that the mount shows is found relative to it."""
    files = {**v1(-1), **v1(120000, "cpu,cpuacct/inner")}
    root = tree(tmp_path, "4:cpu,cpuacct:/docker/abc/inner\n", [V1_MOUNT.format(group="/docker/abc")], files)
    assert cores.count(root, affinity=8) == 2


def test_group_outside_the_namespace(tmp_path: Path) -> None:
    """A path that climbs out of the mount (`/../other`) falls back to what the mount shows."""
    root = tree(tmp_path, "0::/../other\n", [V2_MOUNT.format(group="/")], {"cpu.max": "100000 100000"})
    assert cores.count(root, affinity=8) == 1


def test_both_versions_mounted(tmp_path: Path) -> None:
    """Where both hierarchies are mounted the one with the smaller quota holds."""
    mounts = [V1_MOUNT.format(group="/"), V2_MOUNT.format(group="/").replace("cgroup rw", "cgroup/unified rw", 1)]
    root = tree(tmp_path, "4:cpu,cpuacct:/\n0::/\n", mounts, {**v1(400000), "unified/cpu.max": "200000 100000"})
    assert cores.count(root, affinity=8) == 2


def test_affinity_below_the_quota(tmp_path: Path) -> None:
    """A cpuset or taskset of fewer cores than the quota is what counts."""
    root = tree(tmp_path, "0::/\n", [V2_MOUNT.format(group="/")], {"cpu.max": "800000 100000"})
    assert cores.count(root, affinity=2) == 2


def test_without_any_cgroup_file(tmp_path: Path) -> None:
    """Without /proc and /sys the scheduler's answer stands."""
    assert cores.count(tmp_path, affinity=3) == 3
    assert cores.count(tmp_path) == len(os.sched_getaffinity(0))


def test_this_machine() -> None:
    """On the machine at hand the answer lies between one and the affinity."""
    assert 1 <= cores.count() <= len(os.sched_getaffinity(0))
