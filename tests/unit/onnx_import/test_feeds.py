"""Seeded inputs: what a model's types allow, the same in every run."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, parser

from onnx_import import feeds
from onnx_import.graph import Graph, Type, ValueInfo


def model(inputs: str) -> onnx.ModelProto:
    """A model that takes some inputs."""
    return parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 19]> g ({inputs}) => (float y) {{ y = Constant <value = float {{1.0}}> () }}'
    )


def test_the_same_seed_gives_the_same_feeds_and_another_others() -> None:
    """A verification can be repeated."""
    proto = model("float[2, 3] x")
    first, again, other = feeds.seeded(proto, 1), feeds.seeded(proto, 1), feeds.seeded(proto, 2)
    np.testing.assert_array_equal(first["x"], again["x"])
    assert (first["x"] != other["x"]).any()


def test_one_name_has_one_size_in_all_inputs() -> None:
    """Named dimensions agree; unnamed first axes count the same rows."""
    found = feeds.seeded(model("float[n, t] a, float[t, 3] b, float[?, 5] c, float[?, 7] d"), sizes={"n": 4, "batch": 2})
    assert found["a"].shape[1] == found["b"].shape[0]
    assert (found["a"].shape[0], found["c"].shape, found["d"].shape) == (4, (2, 5), (2, 7))


@pytest.mark.parametrize(
    "name", ["float16", "bfloat16", "double", "int8", "uint64", "bool", "string", "float8e4m3fn", "complex64"]
)
def test_every_type_gets_values_of_its_own(name: str) -> None:
    """Arrays have the dtype that the model declares, and vary."""
    value = feeds.seeded(model(f"{name}[50] x"))["x"]
    declared = model(f"{name}[50] x").graph.input[0].type.tensor_type.elem_type
    assert value.dtype == (object if name == "string" else helper.tensor_dtype_to_np_dtype(declared))
    assert len(set(value.tolist())) > 1


def test_whole_numbers_are_small_and_pictures_have_all_bytes() -> None:
    """An index must be one that most axes have; a byte of a picture may be any."""
    found = feeds.seeded(model("int64[4, 50] ids, int64[3] lengths, uint8[3, 40, 40] picture"))
    assert 0 <= found["ids"].min() < found["ids"].max() <= 9
    assert set(found["lengths"].tolist()) <= {1, 2}
    assert found["picture"].max() > 200


def test_sequences_are_lists_and_optionals_have_a_value() -> None:
    """As the evaluator takes them."""
    found = feeds.seeded(model("seq(float[2]) s, optional(float[2]) o"))
    assert [value.shape for value in found["s"]] == [(2,)] * 3
    assert found["o"].shape == (2,)


def test_initializers_are_not_fed() -> None:
    """An input with a default needs nothing."""
    proto = model("float[2] x, float[2] w")
    proto.graph.initializer.append(helper.make_tensor("w", 1, [2], [1, 2]))
    assert list(feeds.seeded(proto)) == ["x"]


def test_our_own_graph_is_fed_alike() -> None:
    """A Graph says the same as the proto that it came from."""
    infos = [ValueInfo("x", Type("tensor", "float32", (None, 3)))]
    np.testing.assert_array_equal(feeds.seeded(Graph([], infos, []))["x"], feeds.seeded(model("float[?, 3] x"))["x"])


def test_the_ladder_climbs_only_where_something_is_open() -> None:
    """Pictures and lines get other sizes; a closed model has one rung."""
    rungs: list[Any] = list(feeds.ladder(model("float[n, 3, h, w] x, float[n, t] z"), batch=2))
    assert rungs[0] == {"n": 2, "h": 64, "w": 64, "t": 8}
    assert len({tuple(rung.values()) for rung in rungs}) == len(rungs) > 3
    assert list(feeds.ladder(model("float[2] x"))) == [{}]


@pytest.mark.parametrize("inputs", ["float[?, ?] x, float[2, ?, 5] state", "float[2, ?, 5] state, float[?, ?] x"])
def test_states_of_recurrent_layers_have_as_many_rows_as_the_rest(inputs: str) -> None:
    """(layers, rows, size): exporters leave both counts of rows without a name."""
    sizes = next(feeds.ladder(model(inputs), batch=3))
    assert feeds.seeded(model(inputs), sizes=sizes)["state"].shape == (2, 3, 5)
    assert feeds.seeded(model("float[1, ?, 5] x, float[1, ?, 6] y"))["x"].shape == (1, 8, 5)


def test_no_size_fills_the_memory() -> None:
    """Distances between all places of a sequence: 16,000 samples have 256 million."""
    ladder = list(feeds.ladder(model("int64[1, t, t] distances")))
    assert max(sizes["t"] for sizes in ladder) <= 4096
    assert max(sizes["t"] for sizes in feeds.ladder(model("float[1, t] sound"))) == 16000
