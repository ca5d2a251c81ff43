"""What `make env` does on a machine where something is missing, with stand-ins for `id` and `apt-get`."""

from __future__ import annotations

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "requirements" / "system.sh"
MISSING = "ei-no-such-command"


def run(folder: Path, uid: int, *commands: str) -> subprocess.CompletedProcess[str]:
    """Run the script as that user; its apt-get writes down what it is asked for."""
    stand_in(folder / "id", f"echo {uid}")
    stand_in(folder / "apt-get", f'echo "$@" >> {folder}/asked')
    path = f"{folder}:/usr/local/bin:/usr/bin:/bin"
    python = str(Path("/proc/self/exe").resolve())
    return subprocess.run(
        ["sh", str(SCRIPT), *commands], env={"PATH": path, "PYTHON": python}, capture_output=True, text=True, check=False
    )


def stand_in(path: Path, body: str) -> None:
    """Write an executable shell script."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_nothing_is_missing(tmp_path: Path) -> None:
    """Where everything is there, one line names a Python, and nothing is installed."""
    done = run(tmp_path, 0)
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.strip()).is_file()
    assert not (tmp_path / "asked").exists()


def test_a_user_is_told_the_command(tmp_path: Path) -> None:
    """Who is not root gets the one command that installs what is missing, and a failure."""
    done = run(tmp_path, 1000, MISSING)
    assert done.returncode == 1
    assert done.stderr == f"missing: {MISSING}. On Debian: sudo apt-get install {MISSING}\n"
    assert not (tmp_path / "asked").exists()


def test_root_installs(tmp_path: Path) -> None:
    """Root gets what is missing from apt-get."""
    done = run(tmp_path, 0, MISSING)
    assert done.returncode == 0
    assert (tmp_path / "asked").read_text() == f"install -y -qq --no-install-recommends {MISSING}\n"
