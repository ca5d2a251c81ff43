"""Every error that a client may see knows its status."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from serving import errors
from serving.errors import MethodNotAllowed, ServingError, StartError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ServingError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_status_and_message(kind: type[ServingError]) -> None:
    """A class fixes a client's or a server's error status; an instance has its message."""
    error = kind("what happened", "POST") if kind is MethodNotAllowed else kind("what happened")  # type: ignore[call-arg]
    assert 400 <= error.status <= 599
    assert error.message == str(error)
    assert error.message.startswith("what happened")


def test_statuses_are_told_apart() -> None:
    """No two kinds of client error share a status."""
    client = [kind.status for kind in KINDS if kind.status < 500]
    assert len(client) == len(set(client)) == 9


def test_starts_never_meet_a_client() -> None:
    """What ends a start is no ServingError: it has no status."""
    starts = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StartError)]
    assert len(starts) >= 3
    assert not set(starts) & set(KINDS)


def test_a_deadline_is_not_swallowed() -> None:
    """`except Exception` in a script does not catch the end of its time."""
    assert not issubclass(errors.DeadlinePassed, Exception)


@pytest.mark.parametrize(
    ("chosen", "status"),
    [(400, 400), (418, 418), (599, 599), (HTTPStatus.CONFLICT, 409), (200, 500), (399, 500), (600, 500), (-1, 500)],
)
def test_statuses_that_scripts_choose(chosen: int, status: int) -> None:
    """A script's own error status is kept, as a plain number; what is no error status is a 500."""
    error = errors.from_status(chosen, "as the script says")
    assert (error.status, type(error.status), error.message) == (status, int, "as the script says")
    assert ServingError.status == 500
