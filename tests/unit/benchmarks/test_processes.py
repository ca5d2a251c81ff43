"""What processes cost, asked of real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks import processes

CHILDREN = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
print(child.pid, flush=True)
input()
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    """A process in a session of its own, with a child in yet another one."""
    command = [sys.executable, "-c", CHILDREN]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    with process:
        yield process
        process.communicate("\n")


def test_members_are_the_session_and_its_descendants(parent: subprocess.Popen[str]) -> None:
    """A child that left the session still belongs to the server that started it; this process does not."""
    assert parent.stdout
    child = int(parent.stdout.readline())
    assert processes.members(parent.pid) == {parent.pid, child}


def test_costs_of_a_process() -> None:
    """A process has memory and processor time, and the machine has used at least as much."""
    own = [os.getpid()]
    assert processes.memory_mib(own) > 1
    assert 0 < processes.cpu_seconds(own) <= processes.machine_seconds()
    assert processes.forced_switches(own) >= 0


def test_a_process_that_is_gone_costs_nothing() -> None:
    """A process that ended meanwhile counts as nothing, not as an error."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert processes.memory_mib([gone.pid]) == processes.cpu_seconds([gone.pid]) == processes.forced_switches([gone.pid]) == 0
