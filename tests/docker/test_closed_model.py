"""A model folder of mode 0700, as the SageMaker SDK's local mode mounts it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# What a folder may be read by is no matter of its framework.
pytestmark = [pytest.mark.docker, pytest.mark.parametrize("framework", ["mxnet"], indirect=True)]

Model = Callable[..., Path]
Start = Callable[..., Any]
STRANGER = 4321


def close(folder: Path, owner: int = 0) -> Path:
    """The folder, now of mode 0700 and this owner's, with all that is in it."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, owner)
    folder.chmod(0o700)
    return folder


@pytest.mark.parametrize(
    "options", [{}, {"read_only": True, "tmpfs": {"/tmp": ""}}], ids=["as it is", "--read-only --tmpfs /tmp"]
)
def test_served_from_a_private_copy(model: Model, start: Start, options: dict[str, Any]) -> None:
    """Root's closed folder is copied once, for the serving user alone, and the log has the size."""
    server = start(close(model()), **options).ready()
    assert server.invoke() == server.right
    assert "closed to uid 10001: copied to" in server.log
    assert " MB)" in server.log
    assert {process["uid"] for process in server.processes()} == {"10001"}


def test_own_folder_without_capabilities(model: Model, start: Start) -> None:
    """Root without capabilities stays root and reads what is its own."""
    server = start(close(model()), cap_drop=["ALL"]).ready()
    assert server.invoke() == server.right


@pytest.mark.parametrize(
    ("owner", "options", "uid"),
    [
        (STRANGER, {"cap_drop": ["ALL"]}, 0),
        (0, {"user": "10001"}, 10001),
        (0, {"user": "12345", "cap_drop": ["ALL"]}, 12345),
        (STRANGER, {"cap_drop": ["DAC_OVERRIDE"]}, 0),
    ],
    ids=["--cap-drop ALL, another's", "--user 10001, root's", "--user 12345, root's", "no DAC_OVERRIDE, another's"],
)
def test_unreadable(model: Model, start: Start, owner: int, options: dict[str, Any], uid: int) -> None:
    """A folder that cannot be read is told with uid, mode and owner in one message, and exit 1."""
    server = start(close(model(), owner), **options)
    assert server.wait() == 1
    assert "Traceback" not in server.log
    message = server.log.strip().splitlines()[-1]
    assert message.startswith("serve: /opt/ml/model cannot be read")
    assert "0700" in message
    assert f"uid {owner}" in message
    assert f"uid {uid}" in server.log


def test_no_room_for_a_copy(model: Model, start: Start) -> None:
    """A closed folder under a read-only root without /tmp is one message that names the ways out."""
    server = start(close(model()), read_only=True)
    assert server.wait() == 1
    assert "Traceback" not in server.log
    message = server.log.strip().splitlines()[-1]
    assert "--tmpfs /tmp" in message
    assert "--user" in message
