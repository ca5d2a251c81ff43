"""External commands: told on stderr before they run, and an error with the end of their output where they fail.

Only their own output goes to stdout, so that what a tool prints there can be read by a program.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence

from container.errors import ContainerError

QUOTED_LINES = 12


def say(text: str) -> None:
    """A progress line, on stderr."""
    print(text, file=sys.stderr, flush=True)


def show(command: Sequence[str]) -> None:
    """The command as a user would type it, on stderr."""
    say("+ " + shlex.join(command))


def run(command: Sequence[str], remedy: str) -> None:
    """Show and run a command with its output on stderr; ContainerError with this remedy where it fails."""
    show(command)
    try:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode
    except OSError as error:
        raise ContainerError(f"{command[0]} cannot be run: {error.strerror}", remedy) from None
    if status != 0:
        raise ContainerError(f"{shlex.join(command[:3])} ... failed with status {status}", remedy)


def output(command: Sequence[str], remedy: str, timeout: float = 600) -> str:
    """A command's stdout, without showing it; ContainerError with the end of its stderr where it fails."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)
    except OSError as error:
        raise ContainerError(f"{command[0]} cannot be run: {error.strerror}", remedy) from None
    except subprocess.TimeoutExpired:
        raise ContainerError(f"{shlex.join(command[:3])} ... did not end within {timeout:g} s", remedy) from None
    if done.returncode != 0:
        told = "\n".join(done.stderr.strip().splitlines()[-QUOTED_LINES:])
        raise ContainerError(f"{shlex.join(command[:3])} ... failed with status {done.returncode}: {told}", remedy)
    return done.stdout


def succeeds(command: Sequence[str], timeout: float = 600) -> bool:
    """Whether a command exits with 0 within the seconds given; it prints nothing."""
    try:
        return (
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
