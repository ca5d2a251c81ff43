"""What is known of a symbol before anything is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_import.exporting import source
from onnx_import.exporting.source import Node, NoShapes
from serving.backends.mxnet_import import import_mxnet
from tests.unit.onnx_import.exporting.exported import numpy_op, symbol_of


def test_every_value_has_a_shape_and_a_dtype() -> None:
    """Inner ones too."""
    text = symbol_of(lambda s, x: s.Cast(s.sum(x, axis=1), dtype="int32"), ["x"])
    found = source.read(text, {}, {"x": (2, 3)})
    assert found.shapes[found.heads[0]] == (2,)
    assert [found.dtypes[at, 0] for at in range(3)] == ["float32", "float32", "int32"]


def test_constants_are_folded_to_where_inputs_come_in() -> None:
    """Only the values that something reads are computed."""
    text = symbol_of(lambda s, x, w: x + s.exp(w * 2), ["x", "w"])
    found = source.read(text, {"arg:w": np.ones((2, 3), np.float32)}, {"x": (2, 3)})
    (folded,) = [entry for entry in found.constants if found.nodes[entry[0]].op == "exp"]
    array = found.array(folded)
    assert array is not None
    np.testing.assert_allclose(array, np.exp(np.full((2, 3), 2.0)), rtol=1e-6)


def test_draws_are_no_constants() -> None:
    """What is drawn anew in each pass cannot be computed once."""
    text = symbol_of(lambda s, x: x + s.random.uniform(shape=(2, 3)), ["x"])
    assert not source.read(text, {}, {"x": (2, 3)}).constants


def test_shapes_that_do_not_fit_are_refused() -> None:
    """By MXNet, or by us where it says nothing."""
    text = symbol_of(lambda s, x: s.Reshape(x, shape=(2, 3)), ["x"])
    with pytest.raises(NoShapes, match=r"cannot give \(4, 3\) the shape \(2, 3\)"):
        source.read(text, {}, {"x": (4, 3)})
    text = symbol_of(lambda s, x, y: x + y, ["x", "y"])
    with pytest.raises(NoShapes, match="infer"):
        source.read(text, {}, {"x": (4, 3), "y": (2, 2)})


def test_numpys_shapes_are_those_that_the_symbol_was_made_with() -> None:
    """A scalar has no axis there."""
    assert source.is_numpy(numpy_op("_npi_mean"))
    assert source.read(numpy_op("_npi_mean"), {}, {"x": (2, 3)}).shapes[1, 0] == ()
    assert not source.is_numpy(import_mxnet().sym.Variable("x").tojson())


@pytest.mark.parametrize(
    ("text", "want"),
    [("(1, 2)", (1, 2)), ("True", True), ("false", False), ("None", None), ("1e-5", 1e-5), ("relu", "relu"), ("[3L]", "[3L]")],
)
def test_attributes_are_python_values(text: str, want: Any) -> None:
    """Text stays text."""
    assert Node("op", "name", {"a": text}, []).value("a") == want


def test_a_number_is_a_list_of_one() -> None:
    """Axes are written either way."""
    assert Node("op", "name", {"a": "3", "b": "(1, 2)", "c": "None"}, []).ints("a") == [3]
    assert Node("op", "name", {"c": "None"}, []).ints("c", [7]) == [7]
