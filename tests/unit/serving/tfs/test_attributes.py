"""The custom attributes: what is read, what is passed over, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BadRequest
from serving.tfs.attributes import METHODS, Target, target
from tests.unit.serving.codecs.contract import fuzz


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Target()),
        ("", Target()),
        ("tfs-model-name=half_plus_three,tfs-method=predict", Target("half_plus_three")),
        ("tfs-model-name=half_plus_three,tfs-method=regress,tfs-model-version=123", Target("half_plus_three", 123, "regress")),
        ("tfs-model-version=00000123", Target(None, 123)),
        ("trace=7, tfs-method=classify , x", Target(None, None, "classify")),
        ("tfs-model-name=a,tfs-model-name=b-c.1", Target("b-c.1")),
        ("tfs-unknown=1,c000b4f9-df62-4c85-a0bf-7c525f9104a4", Target()),
    ],
)
def test_read(header: str | None, expected: Target) -> None:
    """Pairs that begin with tfs- are read, wherever they stand; all else is passed over."""
    assert target(header) == expected


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("tfs-method=delete", "predict, classify, regress"),
        ("tfs-method=PREDICT", "tfs-method 'PREDICT'"),
        ("tfs-model-version=1.5", "tfs-model-version '1.5' is no version"),
        ("tfs-model-version=-1", "is no version"),
        ("tfs-model-version=9999999999999999999999", "is no version"),
        ("tfs-model-version=١٢", "is no version"),
        ("tfs-model-name=../../v1", "is no model name"),
        ("tfs-model-name=..", "is no model name"),
        ("tfs-model-name=a/versions/1:predict?", "is no model name"),
        ("tfs-model-name=a=b", "is no model name"),
        ("tfs-model-name=" + "a b" * 1000, "is no model name"),
    ],
)
def test_refused(header: str, message: str) -> None:
    """Another method, a version that is no number and a name that could lead elsewhere are a short 400."""
    with pytest.raises(BadRequest, match=message) as caught:
        target(header)
    assert len(caught.value.message) < 250


def test_a_hostile_header_is_read_in_one_go() -> None:
    """A header of the largest size, full of what begins like an attribute, would take seconds if each were tried to its end."""
    assert target("tfs-" * 500_000) == Target()


@fuzz
@given(header=st.text(alphabet="tfs-modelnavri=,/.:1 ", max_size=60) | st.text(max_size=60))
def test_any_header_is_no_crash(header: str) -> None:
    """Whatever stands in the header, it is a target that is safe to use or a 400."""
    try:
        found = target(header)
    except BadRequest:
        return
    assert found.method in METHODS
    assert found.model is None or "/" not in found.model
