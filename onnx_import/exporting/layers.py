"""Layers of networks: convolutions, poolings, normalizations, activations, softmaxes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from onnx_import.exporting.build import Refused, Use, mx


def _channels_first(use: Use) -> None:
    layout = use.get("layout")
    if layout not in (None, "None", "NCW", "NCHW", "NCDHW"):
        raise Refused(f"its layout is {layout}, and ONNX has channels first alone")


def _window(use: Use, rank: int) -> dict[str, Any]:
    pad = use.ints("pad", [0] * rank)
    return {
        "kernel_shape": use.ints("kernel"),
        "strides": use.ints("stride", [1] * rank) or [1] * rank,
        "pads": (pad or [0] * rank) * 2,
    }


@mx("Convolution", "Convolution_v1", "_npx_convolution")
def convolution(use: Use) -> str:
    """Conv."""
    _channels_first(use)
    rank = len(use.shape) - 2
    dilations = use.ints("dilate", [1] * rank) or [1] * rank
    return use.emit("Conv", *use.inputs, **_window(use, rank), dilations=dilations, group=int(use.get("num_group", 1)))


@mx("Deconvolution", "_npx_deconvolution")
def deconvolution(use: Use) -> str:
    """ConvTranspose; a target shape is what the output has at these sizes."""
    _channels_first(use)
    rank = len(use.shape) - 2
    given: dict[str, Any] = {**_window(use, rank), "output_padding": use.ints("adj", [0] * rank) or [0] * rank}
    dilations = use.ints("dilate", [1] * rank) or [1] * rank
    if any(use.ints("target_shape")):
        # MXNet cuts what is too much evenly, the odd one at the beginning.
        strides, sizes = given["strides"], use.shapes[0][2:]
        full = [
            (n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(sizes, strides, given["kernel_shape"], dilations, strict=True)
        ]
        cuts = [have - want for have, want in zip(full, use.shape[2:], strict=True)]
        given["pads"] = [(cut + 1) // 2 for cut in cuts] * 2
        given["output_padding"] = [cut % 2 for cut in cuts]
    return use.emit("ConvTranspose", *use.inputs, **given, dilations=dilations, group=int(use.get("num_group", 1)))


@mx("Pooling", "Pooling_v1", "_npx_pooling")
def pooling(use: Use) -> str:
    """MaxPool, AveragePool or LpPool, over windows or over everything."""
    _channels_first(use)
    kind, rank = use.get("pool_type", "max"), len(use.shape) - 2
    if use.flag("global_pool"):
        return _global(use, kind, rank)
    given = _window(use, rank)
    convention = use.get("pooling_convention", "valid")
    if convention == "same":
        given |= {"auto_pad": "SAME_UPPER", "pads": None}
    if convention == "full":
        given |= _full(use, given, kind)
    if kind == "max":
        return use.emit("MaxPool", use.inputs[0], **given)
    if kind == "lp":
        return use.emit("LpPool", use.inputs[0], **given, p=int(use.get("p_value", 2)))
    counts = 1 if kind == "sum" else int(use.get("count_include_pad", True) is not False)
    mean = use.emit("AveragePool", use.inputs[0], **given, count_include_pad=counts)
    return mean if kind == "avg" else use.emit("Mul", mean, use.const(math.prod(given["kernel_shape"]), use.dtype))


def _global(use: Use, kind: str, rank: int) -> str:
    if kind == "sum":
        return use.emit("ReduceSum", use.inputs[0], use.const(list(range(2, 2 + rank))), keepdims=1)
    op = {"max": "GlobalMaxPool", "avg": "GlobalAveragePool", "lp": "GlobalLpPool"}[kind]
    return use.emit(op, use.inputs[0], p=int(use.get("p_value", 2)) if kind == "lp" else None)


def _full(use: Use, given: dict[str, Any], kind: str) -> dict[str, Any]:
    """The last window that reaches beyond the input. Padding says it exactly, unless it would count in a mean."""
    pads = list(given["pads"])
    rank = len(pads) // 2
    short = []
    for axis, (count, stride, kernel) in enumerate(zip(use.shape[2:], given["strides"], given["kernel_shape"], strict=True)):
        needed = (count - 1) * stride + kernel
        short.append(max(0, needed - use.shapes[0][2 + axis] - pads[axis] - pads[rank + axis]))
    if not any(short):
        return {}
    if kind != "max":
        return {"ceil_mode": 1}
    return {"pads": [*pads[:rank], *(p + more for p, more in zip(pads[rank:], short, strict=True))]}


@mx("BatchNorm", "BatchNorm_v1", "_npx_batch_norm", "CuDNNBatchNorm")
def batch_norm(use: Use) -> str:
    """BatchNormalization with the running statistics; along another axis than 1 as a line."""
    epsilon, axis = float(use.get("eps", 1e-3)), int(use.get("axis", 1)) % len(use.shape)
    scale, shift, mean, var = use.inputs[1:5]
    if use.get("fix_gamma", True) is not False and use.get("fix_gamma") != 0:
        scale = use.const(np.ones(use.shapes[1]), use.dtypes[1])
    if axis == 1 and len(use.shape) > 1:
        return use.emit("BatchNormalization", use.inputs[0], scale, shift, mean, var, epsilon=epsilon)
    deviation = use.emit("Sqrt", use.emit("Add", var, use.const(epsilon, use.dtypes[4])))
    factor = use.emit("Div", scale, deviation)
    bias = use.emit("Sub", shift, use.emit("Mul", mean, factor))
    line = [-1, *[1] * (len(use.shape) - 1 - axis)]
    factor, bias = (use.emit("Reshape", each, use.const(line)) for each in (factor, bias))
    return use.emit("Add", use.emit("Mul", use.inputs[0], factor), bias)


@mx("LayerNorm", "_npx_layer_norm")
def layer_norm(use: Use) -> str | list[str]:
    """LayerNormalization where the opset has it and the axis is the last, else spelt out; statistics on request."""
    epsilon, axis = float(use.get("eps", 1e-5)), int(use.get("axis", -1)) % len(use.shape)
    if use.flag("output_mean_var"):
        return [_layer_norm(use, axis, epsilon), *_statistics(use, axis, epsilon)]
    return _layer_norm(use, axis, epsilon)


def _statistics(use: Use, axis: int, epsilon: float) -> list[str]:
    """The mean, and the deviation that MXNet divides by."""
    mean = _mean(use, use.inputs[0], [axis])
    centred = use.emit("Sub", use.inputs[0], mean)
    variance = _mean(use, use.emit("Mul", centred, centred), [axis])
    return [mean, use.emit("Sqrt", use.emit("Add", variance, use.const(epsilon, use.dtype)))]


def _layer_norm(use: Use, axis: int, epsilon: float) -> str:
    x, gamma, beta = use.inputs
    if use.build.opset >= 17 and axis == len(use.shape) - 1:
        return use.emit("LayerNormalization", x, gamma, beta, axis=-1, epsilon=epsilon)
    normal = _standardized(use, x, [axis], epsilon)
    if axis != len(use.shape) - 1:
        line = use.const([-1, *[1] * (len(use.shape) - 1 - axis)])
        gamma, beta = (use.emit("Reshape", each, line) for each in (gamma, beta))
    return use.emit("Add", use.emit("Mul", normal, gamma), beta)


def _mean(use: Use, value: str, axes: list[int]) -> str:
    if use.build.opset >= 18:
        return use.emit("ReduceMean", value, use.const(axes), keepdims=1)
    return use.emit("ReduceMean", value, axes=axes, keepdims=1)


def _standardized(use: Use, x: str, axes: list[int], epsilon: float) -> str:
    """Values of mean 0 and variance 1 along axes."""
    centred = use.emit("Sub", x, _mean(use, x, axes))
    variance = _mean(use, use.emit("Mul", centred, centred), axes)
    return use.emit("Div", centred, use.emit("Sqrt", use.emit("Add", variance, use.const(epsilon, use.dtype))))


@mx("InstanceNorm", "_npx_instance_norm")
def instance_norm(use: Use) -> str:
    """InstanceNormalization."""
    return use.emit("InstanceNormalization", *use.inputs, epsilon=float(use.get("eps", 1e-3)))


@mx("GroupNorm", "_npx_group_norm")
def group_norm(use: Use) -> str:
    """Groups of channels as the channels of an instance, then back."""
    x, gamma, beta = use.inputs
    groups = int(use.get("num_groups", 1))
    grouped = use.emit("Reshape", x, use.const([0, groups, -1]))
    normal = _standardized(use, grouped, [2], float(use.get("eps", 1e-5)))
    # In 1.9.1 a group has one factor, not a channel.
    gamma, beta = (use.emit("Reshape", each, use.const([-1, 1])) for each in (gamma, beta))
    return use.emit("Reshape", use.emit("Add", use.emit("Mul", normal, gamma), beta), use.emit("Shape", x))


@mx("L2Normalization")
def l2_normalization(use: Use) -> str:
    """Over the root of the sum of squares, of a sample, a channel's places or a place's channels."""
    axes = {"instance": list(range(1, len(use.shape))), "channel": [1], "spatial": list(range(2, len(use.shape)))}
    squares = use.emit("ReduceSum", use.emit("Mul", use.inputs[0], use.inputs[0]), use.const(axes[use.get("mode", "instance")]))
    return use.emit(
        "Div", use.inputs[0], use.emit("Sqrt", use.emit("Add", squares, use.const(float(use.get("eps", 1e-10)), use.dtype)))
    )


@mx("LRN")
def lrn(use: Use) -> str:
    """LRN."""
    given = {"alpha": float(use.get("alpha", 1e-4)), "beta": float(use.get("beta", 0.75)), "bias": float(use.get("knorm", 2))}
    return use.emit("LRN", use.inputs[0], size=int(use.get("nsize")), **given)


@mx("Activation", "_npx_activation")
def activation(use: Use) -> str:
    """The activation of its `act_type`."""
    kinds = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softrelu": "Softplus", "softsign": "Softsign"}
    return use.emit(kinds[use.get("act_type")], use.inputs[0])


@mx("LeakyReLU", "_npx_leaky_relu")
def leaky_relu(use: Use) -> str:
    """The family of rectifiers; a random slope is its mean."""
    kind, slope = use.get("act_type", "leaky"), float(use.get("slope", 0.25))
    if kind == "prelu":
        alpha = use.inputs[1]
        if len(use.shapes[1]) == 1 and use.shapes[1] != (1,):
            alpha = use.emit("Reshape", alpha, use.const([-1, *[1] * (len(use.shape) - 2)]))
        return use.emit("PRelu", use.inputs[0], alpha)
    if kind == "gelu":
        return _gelu(use)
    if kind == "rrelu":
        slope = (float(use.get("lower_bound", 0.125)) + float(use.get("upper_bound", 0.334))) / 2
    ops = {"leaky": "LeakyRelu", "rrelu": "LeakyRelu", "elu": "Elu", "selu": "Selu"}
    return use.emit(ops[kind], use.inputs[0], alpha=None if kind == "selu" else slope)


def _gelu(use: Use) -> str:
    if use.build.opset >= 20:
        return use.emit("Gelu", use.inputs[0])
    bell = use.emit("Erf", use.emit("Div", use.inputs[0], use.const(math.sqrt(2), use.dtype)))
    half = use.emit("Mul", use.inputs[0], use.const(0.5, use.dtype))
    return use.emit("Mul", half, use.emit("Add", bell, use.const(1, use.dtype)))


@mx("softmax", "log_softmax", "softmin", "_npx_softmax", "_npx_log_softmax")
def softmax(use: Use) -> str:
    """Softmax along one axis, or its logarithm, or of the negative."""
    if use.flag("use_length"):
        raise Refused("it takes lengths, which ONNX's Softmax does not")
    value, axis = use.cast(use.inputs[0], use.dtypes[0], use.dtype), int(use.get("axis", -1))
    heat = use.get("temperature")
    if heat not in (None, "None", 1.0):
        value = use.emit("Div", value, use.const(float(heat), use.dtype))
    if use.node.op == "softmin":
        value = use.emit("Neg", value)
    return use.emit("LogSoftmax" if "log" in use.node.op else "Softmax", value, axis=axis)


@mx("SoftmaxOutput", "Softmax")
def softmax_output(use: Use) -> str:
    """Softmax over channels, over the last axis, or over all of a sample; the label plays no part."""
    if use.flag("multi_output") or use.flag("preserve_shape"):
        return use.emit("Softmax", use.inputs[0], axis=1 if use.flag("multi_output") else -1)
    return _over_sample(use)


def _over_sample(use: Use) -> str:
    """What a sample is: oneDNN takes pictures, and softmaxes their last axis where MXNet itself flattens."""
    if len(use.shape) == 2 or (len(use.shape) == 4 and use.dtype == "float32"):
        return use.emit("Softmax", use.inputs[0], axis=-1)
    rows = use.emit("Softmax", use.emit("Flatten", use.inputs[0], axis=1), axis=1)
    return use.emit("Reshape", rows, use.emit("Shape", use.inputs[0]))


@mx("SoftmaxActivation")
def softmax_activation(use: Use) -> str:
    """Softmax over channels, or over all of a sample."""
    if use.get("mode") == "channel":
        return use.emit("Softmax", use.inputs[0], axis=1)
    return _over_sample(use)


@mx("UpSampling")
def up_sampling(use: Use) -> str:
    """Each element repeated."""
    if use.get("sample_type") != "nearest" or len(use.inputs) > 1:
        raise Refused("it samples by learnt weights; only `nearest` of one input is written")
    factor = float(use.get("scale"))
    scales = use.const([1, 1, factor, factor], "float32")
    return use.emit(
        "Resize", use.inputs[0], "", scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )


@mx("_contrib_AdaptiveAvgPooling2D")
def adaptive_average(use: Use) -> str:
    """A mean over everything, or over windows where sizes divide."""
    wanted, sizes = use.shape[2:], use.shapes[0][2:]
    if wanted == (1, 1):
        return use.emit("GlobalAveragePool", use.inputs[0])
    if any(size % want for size, want in zip(sizes, wanted, strict=True)):
        raise Refused(f"{sizes} does not divide into {wanted}")
    kernel = [size // want for size, want in zip(sizes, wanted, strict=True)]
    return use.emit("AveragePool", use.inputs[0], kernel_shape=kernel, strides=kernel)
