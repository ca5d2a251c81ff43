"""Layers: each exported symbol answers as MXNet does, as the ONNX operator of its kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_import.errors import UnsupportedModel
from tests.unit.onnx_import.exporting.exported import export_op, ops

PICTURE = {"x": (2, 3, 8, 8)}
ROWS = {"x": (4, 6)}
SERIES = {"x": (2, 3, 4)}
POSITIVE = np.arange(1, 9).astype(np.float32)

CONVOLUTIONS = {
    "strides-pads-dilations": (
        lambda s, x, w, b: s.Convolution(x, w, b, kernel=(3, 3), num_filter=4, stride=(2, 1), pad=(1, 0), dilate=(1, 2)),
        PICTURE,
        {"w": (4, 3, 3, 3), "b": (4,)},
        "Conv",
    ),
    "one-axis-groups": (
        lambda s, x, w: s.Convolution(x, w, kernel=(3,), num_filter=3, no_bias=True, num_group=3),
        {"x": (2, 3, 9)},
        {"w": (3, 1, 3)},
        "Conv",
    ),
    "transposed": (
        lambda s, x, w: s.Deconvolution(x, w, kernel=(3, 3), num_filter=4, stride=(2, 2), pad=(1, 1), adj=(1, 1)),
        PICTURE,
        {"w": (3, 4, 3, 3)},
        "ConvTranspose",
    ),
    "transposed-to-a-size": (
        lambda s, x, w: s.Deconvolution(x, w, kernel=(4, 4), num_filter=4, stride=(2, 2), target_shape=(18, 18)),
        PICTURE,
        {"w": (3, 4, 4, 4)},
        "ConvTranspose",
    ),
}

POOLINGS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "max": ({"pool_type": "max"}, ["MaxPool"]),
    "max-full": ({"pool_type": "max", "pooling_convention": "full"}, ["MaxPool"]),
    "avg": ({"pool_type": "avg", "pad": (1, 1)}, ["AveragePool"]),
    "avg-without-padding": ({"pool_type": "avg", "pad": (1, 1), "count_include_pad": False}, ["AveragePool"]),
    "avg-full": ({"pool_type": "avg", "pooling_convention": "full", "pad": (1, 1)}, ["AveragePool"]),
    "avg-full-without-padding": (
        {"pool_type": "avg", "pooling_convention": "full", "count_include_pad": False},
        ["AveragePool"],
    ),
    "sum": ({"pool_type": "sum", "pad": (1, 1)}, ["AveragePool", "Mul"]),
    "lp": ({"pool_type": "lp", "p_value": 2}, ["LpPool"]),
    "global-max": ({"pool_type": "max", "global_pool": True}, ["GlobalMaxPool"]),
    "global-avg": ({"pool_type": "avg", "global_pool": True}, ["GlobalAveragePool"]),
    "global-sum": ({"pool_type": "sum", "global_pool": True}, ["ReduceSum"]),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions(case: str) -> None:
    """One Conv or ConvTranspose."""
    build, inputs, params, op = CONVOLUTIONS[case]
    assert ops(export_op(build, inputs, params)[0]) == [op]


@pytest.mark.parametrize("case", POOLINGS)
def test_poolings(case: str) -> None:
    """The pooling of its kind, whatever the convention for the last window."""
    given, wanted = POOLINGS[case]
    model, _ = export_op(lambda s, x: s.Pooling(x, **{"kernel": (3, 3), "stride": (2, 2), **given}), PICTURE)
    assert ops(model) == wanted


def test_channels_last_are_refused_in_words() -> None:
    """ONNX has no such layout."""
    with pytest.raises(UnsupportedModel, match="layout is NHWC"):
        export_op(
            lambda s, x, w: s.Convolution(x, w, kernel=(3, 3), num_filter=4, no_bias=True, layout="NHWC"),
            {"x": (1, 8, 8, 3)},
            {"w": (4, 3, 3, 3)},
        )


@pytest.mark.parametrize("fix_gamma", [True, False])
def test_batch_norm_of_channels_is_one_node(fix_gamma: bool) -> None:
    """A fixed gamma is one, whatever the parameter file holds."""
    model, _ = export_op(
        lambda s, x, g, b, m, v: s.BatchNorm(x, g, b, m, v, fix_gamma=fix_gamma),
        PICTURE,
        {"g": (3,), "b": (3,), "m": (3,), "v": POSITIVE[:3]},
    )
    assert ops(model) == ["BatchNormalization"]


def test_batch_norm_of_another_axis_is_spelt_out() -> None:
    """ONNX's has channels in axis 1 alone."""
    model, _ = export_op(
        lambda s, x, g, b, m, v: s.BatchNorm(x, g, b, m, v, axis=3), PICTURE, {"g": (8,), "b": (8,), "m": (8,), "v": POSITIVE}
    )
    assert "BatchNormalization" not in ops(model)


@pytest.mark.parametrize(("opset", "is_whole"), [(13, False), (17, True), (20, True)])
def test_layer_norm_is_one_node_where_the_opset_has_it(opset: int, is_whole: bool) -> None:
    """Opset 17 brought LayerNormalization."""
    model, _ = export_op(lambda s, x, g, b: s.LayerNorm(x, g, b), SERIES, {"g": (4,), "b": (4,)}, opset=opset)
    assert (ops(model) == ["LayerNormalization"]) == is_whole


def test_statistics_of_a_layer_come_on_request() -> None:
    """The mean and the deviation."""

    def build(s: Any, x: Any, g: Any, b: Any) -> Any:
        return s.Group(list(s.LayerNorm(x, g, b, output_mean_var=True)))

    model, _ = export_op(build, SERIES, {"g": (4,), "b": (4,)})
    assert len(model.graph.output) == 3


NORMS = {
    "layer-of-another-axis": (lambda s, x, g, b: s.LayerNorm(x, g, b, axis=1), SERIES, {"g": (3,), "b": (3,)}),
    "instance": (lambda s, x, g, b: s.InstanceNorm(x, g, b), PICTURE, {"g": (3,), "b": (3,)}),
    "group": (lambda s, x, g, b: s.GroupNorm(x, g, b, num_groups=3), {"x": (2, 6, 4, 4)}, {"g": (3,), "b": (3,)}),
    "l2-instance": (lambda s, x: s.L2Normalization(x), PICTURE, {}),
    "l2-channel": (lambda s, x: s.L2Normalization(x, mode="channel"), PICTURE, {}),
    "l2-spatial": (lambda s, x: s.L2Normalization(x, mode="spatial"), PICTURE, {}),
    "local-response": (lambda s, x: s.LRN(x, nsize=3), PICTURE, {}),
}


@pytest.mark.parametrize("case", NORMS)
@pytest.mark.parametrize("opset", [13, 18])
def test_norms(case: str, opset: int) -> None:
    """Normalizations, with reductions as the opset has them."""
    build, inputs, params = NORMS[case]
    assert export_op(build, inputs, params, opset=opset)[1]


@pytest.mark.parametrize("kind", ["relu", "sigmoid", "tanh", "softrelu", "softsign"])
def test_activations_are_one_node(kind: str) -> None:
    """Each has its ONNX operator."""
    assert len(ops(export_op(lambda s, x: s.Activation(x, act_type=kind), ROWS)[0])) == 1


@pytest.mark.parametrize("kind", ["leaky", "elu", "selu", "gelu", "prelu"])
def test_rectifiers(kind: str) -> None:
    """The family of LeakyReLU."""
    params = {"g": (3,)} if kind == "prelu" else {}
    assert export_op(lambda s, x, *g: s.LeakyReLU(x, *g, act_type=kind), PICTURE, params)[1]


SOFTMAXES = {
    "axis-temperature": (lambda s, x: s.softmax(x, axis=1, temperature=2.0), SERIES),
    "log": (lambda s, x: s.log_softmax(x), SERIES),
    "min": (lambda s, x: s.softmin(x), SERIES),
    "output": (lambda s, x: s.SoftmaxOutput(x, name="sm"), ROWS),
    "output-of-series": (lambda s, x: s.SoftmaxOutput(x, name="sm"), SERIES),
    "output-of-pictures": (lambda s, x: s.SoftmaxOutput(x, name="sm"), PICTURE),
    "output-of-channels": (lambda s, x: s.SoftmaxOutput(x, name="sm", multi_output=True), PICTURE),
    "activation-channel": (lambda s, x: s.SoftmaxActivation(x, mode="channel"), PICTURE),
    "activation-sample": (lambda s, x: s.SoftmaxActivation(x), PICTURE),
}


@pytest.mark.parametrize("case", SOFTMAXES)
def test_softmaxes(case: str) -> None:
    """Along the axis that MXNet takes, a label or not."""
    build, inputs = SOFTMAXES[case]
    model, _ = export_op(build, inputs)
    assert [info.name for info in model.graph.input] == ["x"]


RESIZES = {
    "nearest": lambda s, x: s.UpSampling(x, scale=2, sample_type="nearest"),
    "adaptive-average": lambda s, x: s.contrib.AdaptiveAvgPooling2D(x, output_size=(4, 4)),
    "adaptive-average-of-all": lambda s, x: s.contrib.AdaptiveAvgPooling2D(x, output_size=(1, 1)),
}


@pytest.mark.parametrize("case", RESIZES)
def test_resizes(case: str) -> None:
    """Larger and smaller pictures."""
    assert export_op(RESIZES[case], PICTURE)[1]


def test_learnt_upsampling_and_uneven_windows_are_refused() -> None:
    """Both reasons are in one error."""

    def build(s: Any, x: Any) -> Any:
        return s.Group([s.contrib.AdaptiveAvgPooling2D(x, output_size=(3, 3)), s.softmax(x, s.sum(x, axis=3), use_length=True)])

    with pytest.raises(UnsupportedModel) as caught:
        export_op(build, PICTURE)
    assert [problem.op for problem in caught.value.problems] == ["_contrib_AdaptiveAvgPooling2D", "softmax"]
