"""Choosing a base image."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from container import base, commands
from container.errors import ContainerError

Engine = Callable[..., None]


@pytest.fixture
def engine_with(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A function that sets which images an engine has, and which its hub."""

    def put(local: set[str], hub: set[str]) -> None:
        def succeeds(command: list[str], timeout: float = 0) -> bool:
            return command[-1] in (local if "inspect" in command else hub)

        monkeypatch.setattr(commands, "succeeds", succeeds)
        monkeypatch.setattr(base, "make", lambda client: "made")

    return put


@pytest.mark.parametrize(
    ("wanted", "local", "hub", "chosen"),
    [
        ("mine", {"mine"}, set(), "mine"),
        ("mine", set(), {"mine"}, "mine"),
        ("", {base.PUBLIC}, set(), base.PUBLIC),
        ("", set(), {base.PUBLIC}, base.PUBLIC),
        ("", {base.made_name()}, {base.PUBLIC}, base.made_name()),
        ("", set(), set(), "made"),
    ],
    ids=["own, here", "own, pulled", "public, here", "public, pulled", "made before", "made now"],
)
def test_choice(engine_with: Engine, wanted: str, local: set[str], hub: set[str], chosen: str) -> None:
    """The user's, else the public one, else one that is made; what is here is never pulled."""
    engine_with(local, hub)
    assert base.ensure("docker", wanted) == chosen


def test_own_base_is_not_replaced(engine_with: Engine) -> None:
    """A base that the user named and that cannot be had is an error, not another base."""
    engine_with(set(), set())
    with pytest.raises(ContainerError, match="mine is not here"):
        base.ensure("docker", "mine")


def test_another_recipe_is_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base made by an older recipe is not taken for a newer one's."""
    before = base.made_name()
    monkeypatch.setattr(base, "PACKAGES", (*base.PACKAGES, "more"))
    assert base.made_name() != before


def test_a_failed_pipe_leaves_no_image() -> None:
    """What was cut off in the middle is an error, though the importing side ended well."""
    with pytest.raises(ContainerError, match="could not be made"):
        base._pipe(["sh", "-c", "echo half; exit 3"], ["sh", "-c", "cat >/dev/null"])
