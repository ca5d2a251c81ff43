"""Mutated model files: the importer's front reads them or refuses them in one line, quickly, and never anything else.

Bytes are changed as a broken disk or a cut download changes them; fields of the parsed message as a faulty exporter fills them.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper, parser

from onnx_import.errors import InvalidModel
from onnx_import.graph import Graph
from onnx_import.loader import load
from onnx_import.reader import read

EXAMPLES = 300
SLOW = 5.0
"""Seconds; a model of these sizes takes a hundredth of one."""

TEXTS = (
    """<ir_version: 10, opset_import: ["" : 21]> conv (float[n, 3, 8, 8] x) => (float[n, 4] y)
    <float[4, 3, 3, 3] w, float[4] b> {
        c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (x, w, b)
        r = Relu (c)
        p = GlobalAveragePool (r)
        y = Flatten <axis = 1> (p)
    }""",
    """<ir_version: 10, opset_import: ["" : 21]> flow (bool c, float[2] x, int64 n) => (float[2] y, seq(float[2]) s) {
        b = If (c) <then_branch = t () => (float[2] p) { p = Neg (x) }, else_branch = e () => (float[2] q) { q = Elu (x) }>
        y = Loop (n, c, b) <body = l (int64 i, bool d, float[2] v) => (bool d, float[2] w) { w = Mul (v, x) }>
        s = SequenceConstruct (x, y)
    }""",
    """<ir_version: 10, opset_import: ["" : 17, "f" : 1]> calls (float[2] x) => (float[2] y) { y = f.Twice <factor = 3.0> (x, x) }
    <domain: "f", opset_import: ["" : 17, "f" : 1]> Twice <factor> (a, b) => (c) { s = f.By <by: float = @factor> (a)
        c = Add (s, b) }
    <domain: "f", opset_import: ["" : 17]> By <by: float = 2.0> (a) => (b) { k = Constant <value_float: float = @by> ()
        b = Mul (a, k) }""",
    """<ir_version: 10, opset_import: ["" : 21, "ai.onnx.ml" : 3]> mixed (float[n, 2] x, string[n] t) => (float[n, 2] y, int64[n] u) {
        q, s, z = DynamicQuantizeLinear (x)
        y = DequantizeLinear (q, s, z)
        u = ai.onnx.ml.LabelEncoder <keys_strings = ["a", "b"], values_int64s = [1, 2]> (t)
        m = Clip (x)
        g = GroupNormalization <num_groups = 1> (x, h, h)
    }""",
)


def bases() -> list[bytes]:
    """Small models of every kind of content: weights, sparse weights, text, graphs in nodes, functions."""
    models = [parser.parse_model(text) for text in TEXTS]
    conv, mixed = models[0].graph, models[3].graph
    del conv.initializer[:]
    conv.initializer.append(numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w"))
    conv.initializer.append(helper.make_tensor("b", onnx.TensorProto.FLOAT, [4], [1, 2, 3, 4]))
    mixed.initializer.append(numpy_helper.from_array(np.array(["a", "b"], object), "words"))
    mixed.initializer.append(helper.make_tensor("h", onnx.TensorProto.FLOAT, [2], [1, 2]))
    mixed.initializer.append(helper.make_tensor("four", onnx.TensorProto.INT4, [3], [1, 2, 3]))
    values, indices = numpy_helper.from_array(np.ones(1, np.float32), "sparse"), numpy_helper.from_array(np.array([1]))
    mixed.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2, 2]))
    return [model.SerializeToString() for model in models]


BASES = bases()
NUMBERS = st.one_of(st.integers(-2, 30), st.sampled_from([2**31 - 1, -(2**31), 2**62, -(2**63), 255, 65536]))
NAMES = st.sampled_from(
    ["", "x", "y", "w", "a", "b", "ai.onnx", "f", "Relu", "Add", "If", "Loop", "Constant", "\x00", "n" * 300, "a\nb"]
)


@st.composite
def broken_bytes(draw: st.DrawFn) -> bytes:
    """A model with bytes replaced, put in, or cut away."""
    data = bytearray(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.sampled_from([0, 1, 1, 2, 8, 64]))] = draw(st.binary(max_size=4))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@st.composite
def broken_messages(draw: st.DrawFn) -> onnx.ModelProto:
    """A model with fields of its messages changed, taken away or doubled."""
    model = onnx.ModelProto.FromString(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 3))):
        message: Any = model
        while True:  # down into a random message
            inner = [value for field, value in message.ListFields() if field.message_type]
            inner = [item for value in inner for item in (value if hasattr(value, "append") else [value])]
            if not inner or draw(st.integers(0, 4)) == 0:
                break
            message = draw(st.sampled_from(inner))
        change(draw, message)
    return model


def change(draw: st.DrawFn, message: Any) -> None:
    """Change one field of a message."""
    field = draw(st.sampled_from(list(message.DESCRIPTOR.fields)))
    value = getattr(message, field.name)
    if draw(st.integers(0, 3)) == 0:
        message.ClearField(field.name)
    elif field.is_repeated and len(value) and draw(st.booleans()):
        if draw(st.booleans()):
            value.append(value[draw(st.integers(0, len(value) - 1))])
        else:
            del value[draw(st.integers(0, len(value) - 1))]
    elif field.message_type:
        value.add() if field.is_repeated else value.SetInParent()
    else:
        fresh = scalar(draw, field)
        if not field.is_repeated:
            setattr(message, field.name, fresh)
        elif len(value) and draw(st.booleans()):
            value[draw(st.integers(0, len(value) - 1))] = fresh
        else:
            value.append(fresh)


def scalar(draw: st.DrawFn, field: Any) -> Any:
    """A value for a field that is no message."""
    if field.cpp_type == field.CPPTYPE_STRING:
        text = draw(NAMES)
        return draw(st.binary(max_size=20)) if field.type == field.TYPE_BYTES else text
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return draw(st.floats(width=32))
    if field.cpp_type == field.CPPTYPE_ENUM:
        return draw(st.sampled_from([value.number for value in field.enum_type.values]))
    number = draw(NUMBERS)
    low, high = {1: (-(2**31), 2**31), 3: (0, 2**32), 4: (0, 2**64)}.get(field.cpp_type, (-(2**63), 2**63))
    return min(max(number, low), high - 1)


def take(source: bytes | onnx.ModelProto | Path) -> None:
    """Read a model, or see it refused in one line."""
    start = perf_counter()
    try:
        result: Graph | str = read(load(source))
    except InvalidModel as error:
        result = str(error)
    assert isinstance(result, Graph) or len(result.splitlines()) == 1
    assert perf_counter() - start < SLOW


each = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("data", BASES, ids=["conv", "flow", "calls", "mixed"])
def test_what_is_mutated_is_good_before(data: bytes) -> None:
    """The models that the mutations start from are read."""
    assert read(load(data)).nodes


@each
@given(data=broken_bytes())
def test_broken_bytes(data: bytes) -> None:
    """Any bytes are a model or one error."""
    take(data)


@each
@given(data=broken_bytes())
def test_broken_files(tmp_path: Path, data: bytes) -> None:
    """The same by way of a file, whose large weights are left in it."""
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    take(path)


@each
@given(model=broken_messages())
def test_broken_messages(model: onnx.ModelProto) -> None:
    """Any message is a model or one error."""
    take(model)
