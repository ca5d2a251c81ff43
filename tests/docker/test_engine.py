"""The engine and the base image, found or made."""

from __future__ import annotations

import subprocess
import sys

import pytest

from container import base, engine
from container.errors import ContainerError

pytestmark = pytest.mark.docker


def test_called_by_many_at_once(cli: str) -> None:
    """Processes that ask at the same time all get the one engine that runs."""
    command = [sys.executable, "-m", "container.engine"]
    asking = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert {process.communicate(timeout=60)[0].strip() for process in asking} == {cli}


def test_called_again(cli: str) -> None:
    """A second call finds what the first one started."""
    assert engine.ensure() == cli


def test_base_that_is_here(cli: str, image: str) -> None:
    """A base that the engine has is used as it is, without a look at a hub."""
    assert base.ensure(cli, image) == image


def test_base_that_cannot_be_had(cli: str) -> None:
    """A base that the user named is never replaced by another in silence."""
    with pytest.raises(ContainerError, match="cannot be pulled"):
        base.ensure(cli, "ei-test/no-such-base:0")
