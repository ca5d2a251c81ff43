"""Graphs that ask for tensors of absurd sizes, by a constant or by what they are fed: one clear error, and no memory taken."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from onnx_import.backend import Prepared
from onnx_import.errors import OnnxImportError
from onnx_import.reader import read

BIG = 1 << 40
SIDE = 1 << 20
X = np.ones((1, 1), np.float32)
PICTURE = np.ones((1, 1, 1, 1), np.float32)
COLUMN, ROW = np.ones((SIDE, 1), np.float32), np.ones((1, SIDE), np.float32)


def whole(*numbers: int) -> Any:
    """An int64 vector."""
    return np.array(numbers, np.int64)


CASES: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "ConstantOfShape": ("ConstantOfShape", [whole(SIDE, SIDE)], {}),
    "Expand": ("Expand", [X, whole(SIDE, SIDE)], {}),
    "Tile": ("Tile", [X, whole(SIDE, SIDE)], {}),
    "Range": ("Range", [np.array(0), np.array(BIG), np.array(1)], {}),
    "Range of floats": ("Range", [np.array(0.0), np.array(1e12), np.array(1.0)], {}),
    "OneHot": ("OneHot", [whole(3), np.array(BIG), np.array([0, 1], np.float32)], {}),
    "Pad": ("Pad", [X, whole(0, 0, 0, BIG)], {}),
    "Pad by edge": ("Pad", [X, whole(0, 0, 0, BIG)], {"mode": "edge"}),
    "Resize": ("Resize", [PICTURE, None, None, whole(1, 1, SIDE, SIDE)], {"mode": "nearest"}),
    "Resize one axis": ("Resize", [PICTURE, None, None, whole(1, 1, 1, BIG)], {"mode": "linear"}),
    "Resize by scale": ("Resize", [PICTURE, None, np.array([1, 1, 1, 1e12], np.float32)], {"mode": "cubic"}),
    "HannWindow": ("HannWindow", [np.array(BIG)], {}),
    "MelWeightMatrix": ("MelWeightMatrix", [np.array(SIDE), np.array(BIG), np.array(8000), np.array(0.0), np.array(4e3)], {}),
    "AffineGrid": ("AffineGrid", [np.ones((1, 2, 3), np.float32), whole(1, 1, SIDE, SIDE)], {}),
    "CenterCropPad": ("CenterCropPad", [X, whole(SIDE, SIDE)], {}),
    "DFT": ("DFT", [np.ones((1, 4, 1), np.float32), np.array(BIG)], {}),
    "Add": ("Add", [COLUMN, ROW], {}),
    "Where": ("Where", [np.array(True), COLUMN, ROW], {}),
    "MatMul": ("MatMul", [COLUMN, ROW], {}),
    "RandomNormal": ("RandomNormal", [], {"shape": [SIDE, SIDE]}),
    "EyeLike": ("EyeLike", [ROW[0]], {}),
    "GatherND": ("Gather", [COLUMN.repeat(4, 1), np.zeros((SIDE, 1), np.int64)], {"axis": 1}),
    "MaxUnpool": ("MaxUnpool", [PICTURE, np.zeros((1, 1, 1, 1), np.int64), whole(1, 1, SIDE, SIDE)], {"kernel_shape": [1, 1]}),
    "Col2Im": ("Col2Im", [np.ones((1, 1, 1), np.float32), whole(SIDE, SIDE), whole(1, 1)], {"strides": [SIDE, SIDE]}),
    "Upsample": ("Upsample", [PICTURE, np.array([1, 1, 1e6, 1e6], np.float32)], {}),
    "ConvTranspose": ("ConvTranspose", [PICTURE, PICTURE], {"strides": [SIDE, SIDE], "output_shape": [SIDE, SIDE]}),
}


@pytest.mark.parametrize("are_constants", [False, True], ids=["fed", "constant"])
@pytest.mark.parametrize("name", CASES)
def test_refused_before_it_is_made(name: str, are_constants: bool) -> None:
    """The error names the node, and was raised before the tensor or anything of its size was made."""
    op_type, inputs, attributes = CASES[name]
    arrays = {f"x{index}": np.asarray(value) for index, value in enumerate(inputs) if value is not None}
    arrays = {n: a.astype(np.float32) if a.dtype == np.float64 else a for n, a in arrays.items()}
    names = [f"x{index}" if value is not None else "" for index, value in enumerate(inputs)]
    node = helper.make_node(op_type, names, ["y"], name="the node", **attributes)
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in arrays.items()]
    weights = [onnx.numpy_helper.from_array(array, n) for n, array in arrays.items()] if are_constants else []
    graph = helper.make_graph(
        [node], "one", [] if are_constants else infos, [helper.make_empty_tensor_value_info("y")], weights
    )
    opset = 9 if op_type == "Upsample" else 26
    prepared = Prepared(read(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])))
    tracemalloc.start()
    try:
        with pytest.raises(OnnxImportError, match="the node"):
            prepared.run({} if are_constants else arrays)
        assert tracemalloc.get_traced_memory()[1] < 1 << 26
    finally:
        tracemalloc.stop()
