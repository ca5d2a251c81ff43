"""Model files made by hand, byte for byte as MXNet writes them, so that these tests need no MXNet."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FLAGS = {"float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int32": 4, "int8": 5, "int64": 6, "bool": 7}
V2 = 0xF993FAC9


def array_bytes(array: np.ndarray[Any, Any]) -> bytes:
    """A dense array as MXNet 1.x saves it."""
    head = struct.pack("<Iii", V2, 0, array.ndim) + struct.pack(f"<{array.ndim}q", *array.shape)
    return head + struct.pack("<iii", 1, 0, FLAGS[str(array.dtype)]) + array.tobytes()


def file_bytes(arrays: list[bytes], names: list[str]) -> bytes:
    """A whole file of saved arrays and their names."""
    tail = b"".join(struct.pack("<Q", len(name)) + name.encode() for name in names)
    return struct.pack("<QQQ", 0x112, 0, len(arrays)) + b"".join(arrays) + struct.pack("<Q", len(names)) + tail


@pytest.fixture
def params_bytes() -> Callable[[Mapping[str, np.ndarray[Any, Any]]], bytes]:
    """A function from named arrays to a parameter file's bytes."""
    return lambda arrays: file_bytes([array_bytes(array) for array in arrays.values()], list(arrays))


def mlp_graph() -> dict[str, Any]:
    """A symbol of one fully connected layer and a softmax with its label."""
    nodes = [
        {"op": "null", "name": "data", "inputs": []},
        {"op": "null", "name": "fc_weight", "inputs": []},
        {"op": "null", "name": "fc_bias", "inputs": []},
        {"op": "FullyConnected", "name": "fc", "attrs": {"num_hidden": "3"}, "inputs": [[0, 0, 0], [1, 0, 0], [2, 0, 0]]},
        {"op": "null", "name": "softmax_label", "inputs": []},
        {"op": "SoftmaxOutput", "name": "softmax", "inputs": [[3, 0, 0], [4, 0, 0]]},
    ]
    return {"nodes": nodes, "arg_nodes": [0, 1, 2, 4], "heads": [[5, 0, 0]], "attrs": {"mxnet_version": ["int", 10901]}}


@pytest.fixture
def mlp_dir(tmp_path: Path, params_bytes: Callable[[Mapping[str, np.ndarray[Any, Any]]], bytes]) -> Path:
    """A model directory with a symbol and its parameters, of eight inputs and three outputs."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model-symbol.json").write_text(json.dumps(mlp_graph()))
    arrays = {"arg:fc_weight": np.zeros((3, 8), "float32"), "arg:fc_bias": np.zeros(3, "float32")}
    (folder / "model-0000.params").write_bytes(params_bytes(arrays))
    return folder
