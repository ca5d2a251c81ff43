"""`mx.eia()`: eia to Python, the CPU to MXNet's library."""

from __future__ import annotations

import copy
import pickle
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from serving.backends.mxnet_import import import_mxnet
from tests.unit.serving.accelerators.eia_fake import FakeAccelerator

mx: Any = import_mxnet()


@pytest.fixture
def two(attach: Any) -> None:
    """Two accelerators."""
    attach(FakeAccelerator(0), FakeAccelerator(1))


@pytest.mark.usefixtures("two")
def test_it_says_eia_to_python() -> None:
    """Type, text and format name the accelerator, by which scripts choose their way and print their device."""
    context = mx.eia(1)
    assert isinstance(context, mx.Context)
    assert (context.device_type, repr(context), str(context), f"{context}", f"{context:>8}") == (
        "eia",
        "eia(1)",
        "eia(1)",
        "eia(1)",
        "  eia(1)",
    )


@pytest.mark.usefixtures("two")
def test_equality_is_by_type_and_ordinal() -> None:
    """An accelerator equals itself, in sets too, and neither another one nor the CPU."""
    assert mx.eia() == mx.eia(0)
    assert mx.eia(0) != mx.eia(1)
    assert mx.eia() != mx.cpu()
    assert mx.cpu() != mx.eia()
    assert len({mx.eia(), mx.eia(0), mx.eia(1), mx.cpu()}) == 3


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("given", "ordinal"),
    [(("eia",), 0), (("eia", 1), 1), (("EIA",), 0), (("eia(1)",), 1), (("eia1",), 1), (("eia(0)",), 0)],
    ids=str,
)
def test_the_name_is_registered(given: tuple[Any, ...], ordinal: int) -> None:
    """`mx.Context` makes one of every spelling that scripts use, and the table of device types has its name."""
    assert "eia" in mx.Context.devstr2type
    assert mx.Context(*given) == mx.eia(ordinal)


@pytest.mark.usefixtures("two")
def test_copies() -> None:
    """A context copied from one, by MXNet, `copy` or pickle, is of the same accelerator."""
    context = mx.eia(1)
    for made in (mx.Context(context), copy.copy(context), copy.deepcopy(context), pickle.loads(pickle.dumps(context))):
        assert made == context
        assert made.device_type == "eia"


def test_other_contexts_are_as_they_were() -> None:
    """MXNet's own contexts are none of ours, and an unknown one is the KeyError that it was."""
    assert type(mx.Context("cpu", 2)) is mx.Context
    assert (str(mx.cpu()), str(mx.gpu(1)), copy.deepcopy(mx.cpu(3))) == ("cpu(0)", "gpu(1)", mx.cpu(3))
    with pytest.raises(KeyError):
        mx.Context("eiaa")


@pytest.mark.usefixtures("two")
def test_arrays_on_it_are_in_host_memory() -> None:
    """Arrays are made and moved there in every way; the library sees the CPU."""
    x, context = np.arange(3, dtype="float32"), mx.eia(1)
    made = [mx.nd.array(x, ctx=context), mx.nd.array(x, context), mx.nd.array(x).as_in_context(context)]
    made += [mx.nd.array(x).copyto(context), mx.nd.zeros((3,), ctx=context) + mx.nd.array(x)]
    with context:
        assert mx.current_context() == context
        made += [mx.nd.ones((3,)) * mx.nd.array(x), mx.nd.random.uniform(shape=(3,)) * 0 + mx.nd.array(x)]
    assert mx.current_context() == mx.cpu()
    for array in made:
        assert array.context == mx.cpu()
        np.testing.assert_array_equal(array.asnumpy(), x)


@pytest.mark.usefixtures("fresh")
def test_without_an_accelerator_a_probe_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is configured `mx.eia()` is an MXNetError with the known words, in one line, and what to set."""
    monkeypatch.delenv("EI_ACCELERATORS", raising=False)
    with pytest.raises(mx.MXNetError, match="^Failed to detect any accelerator: set EI_ACCELERATORS") as caught:
        mx.eia()
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("two")
def test_an_ordinal_that_is_not_there() -> None:
    """The third of two accelerators is refused."""
    with pytest.raises(mx.MXNetError, match="^Failed to detect any accelerator: number 2 is asked for, and there are 2"):
        mx.eia(2)


@pytest.mark.usefixtures("fresh")
def test_no_network_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A context is made at once of an address that nobody listens on."""
    monkeypatch.setenv("EI_ACCELERATORS", "203.0.113.1:1,203.0.113.1:2")
    assert repr(mx.eia(1)) == "eia(1)"


def test_it_can_be_patched() -> None:
    """`mxnet.eia` is a plain attribute, as the tests of AWS's own handlers take it."""
    with patch("mxnet.eia", create=True) as replaced:
        mx.eia()
        replaced.assert_called_once_with()
    assert mx.eia.__name__ == "eia"
