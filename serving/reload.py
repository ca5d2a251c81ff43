"""`serve --reload`, for work on a script: a child serves, and is started anew when a file of the user's code changes.

A script that does not load prints its fault and waits for the next change.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from serving import settings as knobs
from serving.settings import Settings

log = logging.getLogger("ei.reload")
POLL_SECONDS = 0.3


class _Stop(BaseException):
    """SIGTERM or Ctrl-C has come."""


def supervise(settings: Settings, arguments: Sequence[str]) -> None:
    """Keep a serving child until told to stop; exits with the child's status of that stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    child: subprocess.Popen[bytes] | None = None
    try:
        while True:
            seen = snapshot(settings)
            child = _start(arguments)
            while snapshot(settings) == seen:
                time.sleep(POLL_SECONDS)
            log.info("the user's code has changed: starting anew")
            _end(child)
    except _Stop:
        sys.exit(_end(child) if child is not None else 0)


def snapshot(settings: Settings) -> dict[Path, int]:
    """When each file of user code was last written: of the `code` folders, a TensorFlow model's own among them."""
    folders = list(settings.model_dir.rglob("code"))
    if settings.submit_directory:
        folders.append(Path(settings.submit_directory))
    times = {}
    for folder in folders:
        for path in folder.rglob("*"):
            with suppress(OSError):  # an editor may just have replaced it
                if path.is_file() and "__pycache__" not in path.parts:
                    times[path] = path.stat().st_mtime_ns
    return times


def _start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "serving", *arguments, "--reload=false"]  # the last of a flag counts
    environment = {**knobs.environment(), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(command, env=environment, preexec_fn=os.setpgrp)


def _end(child: subprocess.Popen[bytes]) -> int:
    child.terminate()
    return child.wait()


def _stop(signum: int, frame: FrameType | None) -> None:
    raise _Stop
