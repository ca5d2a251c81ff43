"""A read-only root, no capabilities, any user: what clusters ask of an image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docker import scripts

pytestmark = pytest.mark.docker

Model = Callable[..., Path]
Start = Callable[..., Any]

HARDENED: dict[str, dict[str, Any]] = {
    "--read-only --cap-drop ALL": {"read_only": True, "cap_drop": ["ALL"]},
    "--read-only": {"read_only": True},
    "--read-only --user 10001": {"read_only": True, "user": "10001"},
    "--user 12345": {"user": "12345"},
    "--user 12345:12345 --cap-drop ALL --read-only": {"user": "12345:12345", "cap_drop": ["ALL"], "read_only": True},
    "--security-opt no-new-privileges": {"security_opt": ["no-new-privileges"]},
}


@pytest.mark.parametrize("options", HARDENED.values(), ids=HARDENED.keys())
def test_answers(model: Model, start: Start, options: dict[str, Any]) -> None:
    """The image answers under these options, without a writable folder, and stops with exit 0."""
    server = start(model(), **options).ready()
    assert server.invoke() == server.right
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("options", "uid"),
    [({}, 10001), ({"user": "12345"}, 12345), ({"cap_drop": ["ALL"]}, 0)],
    ids=["as it is", "--user 12345", "--cap-drop ALL"],
)
def test_says_its_uid(model: Model, start: Start, options: dict[str, Any], uid: int) -> None:
    """The log says which uid serves, and it is the one."""
    server = start(model(), **options).ready()
    assert f"serving as uid {uid}" in server.log
    assert {process["uid"] for process in server.processes()} == {str(uid)}


def test_user_script_runs_as_the_serving_user(model: Model, start: Start) -> None:
    """No line of user code runs as root: the script's own import sees uid 10001."""
    server = start(model(scripts.USER)).ready()
    assert server.invoke() == (200, b"(10001, 10001, 10001)")
