"""Random uses of operators: shapes, types, attributes and opsets, with inputs fed and known, against the reference evaluator.

A draw is a function of a `Dice`; it gives inputs and attributes that ONNX allows in the opset at hand. Seeds are fixed: what fails
once fails again, and `DRAWS` may be raised for a longer search.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest

from onnx_import import oracle, registry
from onnx_import.dtypes import true_dtype
from tests.unit.onnx_import.checking import check, node_model

DRAWS = 4
"""Of each operator in each of its opsets."""

TYPES = ("float32", "float32", "float64", "float16", "int64", "int32", "uint8", "int8", "int16", "uint32", "bool")
FIRST = {"DequantizeLinear": 19, "Resize": 11}
"""Opsets before which the evaluator has no answers; of no operator they are asked before 7."""

OUTPUTS = {"TopK": 2}
TENSORS = {"float": "float32", "double": "float64"}
ROUNDING = {"float16": 4e-3, "float32": 1e-4, "float64": 1e-6}

Drawn = tuple[list[Any], dict[str, Any]]


class Dice:
    """Random choices for one operator in one opset."""

    def __init__(self, op: str, opset: int, seed: int) -> None:
        self.schema = onnx.defs.get_schema(op, opset)
        self.op, self.opset, self.rng = op, opset, np.random.default_rng(seed)
        self.types: dict[str, str] = {}

    def number(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, *choices: Any) -> Any:
        """One of these."""
        return choices[self.number(0, len(choices) - 1)]

    def maybe(self, **choices: Any) -> dict[str, Any]:
        """Attributes that the opset has, each left out now and then."""
        known = {name: values for name, values in choices.items() if name in self.schema.attributes}
        return {name: self.pick(*values) for name, values in known.items() if self.number(0, 2)}

    def shape(self, low: int = 0, high: int = 4) -> tuple[int, ...]:
        """A few small axes; rarely an empty one."""
        return tuple(self.pick(0, *[1, 2, 3, 4, 5] * 4) for _ in range(self.number(low, high)))

    def full(self, low: int = 1, high: int = 4) -> tuple[int, ...]:
        """The same without empty axes."""
        return tuple(max(size, 1) for size in self.shape(low, high))

    def within(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that broadcasts to another."""
        return tuple(self.pick(size, size, 1) for size in shape)[self.number(0, len(shape)) if self.number(0, 1) else 0 :]

    def axis(self, rank: int) -> int:
        """An axis by a number of the opset: negative ones came with 11."""
        return self.number(-rank if self.opset >= 11 else 0, rank - 1)

    def dtype(self, index: int = 0) -> str:
        """A type that the schema allows an input; inputs of one type variable share it."""
        variable = self.schema.inputs[min(index, len(self.schema.inputs) - 1)].type_str
        if variable not in self.types:
            allowed = {c.type_param_str: c.allowed_type_strs for c in self.schema.type_constraints}.get(variable, [variable])
            names = {TENSORS.get(text[7:-1], text[7:-1]) for text in allowed}
            self.types[variable] = self.pick(*[name for name in TYPES if name in names])
        return self.types[variable]

    def array(self, shape: Any, dtype: str | None = None, low: float = -4, high: float = 4) -> Any:
        """Numbers between two bounds; halves among them, for ties."""
        dtype = dtype or self.dtype()
        low = max(low, 0) if dtype[0] == "u" or dtype == "bool" else low
        numbers = self.rng.uniform(low, high, tuple(shape))
        return (np.round(numbers * 2) / 2 if self.number(0, 2) == 0 else numbers).astype(true_dtype(dtype))

    def order(self, count: int) -> list[int]:
        """Whole numbers from 0 in any order."""
        return [int(place) for place in self.rng.permutation(count)]


def _unary(dice: Dice) -> Drawn:
    return [dice.array(dice.shape())], dice.maybe(
        alpha=(0.5, 1.5), beta=(0.2, 0.7), gamma=(1.5, 2.0), approximate=("none", "tanh")
    )


def _binary(dice: Dice) -> Drawn:
    shape = dice.shape()
    if dice.opset < 7:
        return [dice.array(shape), dice.array(shape)], {}
    operands = [dice.array(dice.within(shape)), dice.array(shape, dice.dtype(1))]
    return operands[:: dice.pick(1, -1)] if len({str(each.dtype) for each in operands}) == 1 else operands, {}


def _divide(dice: Dice) -> Drawn:
    shape = dice.shape()
    other = dice.array(shape if dice.opset < 7 else dice.within(shape), low=1, high=5)
    attributes = {"fmod": int(dice.dtype().startswith("float"))} if dice.op == "Mod" else {}
    return [dice.array(shape, low=-40, high=40), other], attributes


def _several(dice: Dice) -> Drawn:
    shape = dice.shape(1)
    others = [dice.array(dice.within(shape) if dice.opset >= 8 else shape) for _ in range(dice.number(0, 3))]
    return [dice.array(shape), *others], {}


def _where(dice: Dice) -> Drawn:
    shape = dice.shape()
    return [dice.array(shape, "bool"), *[dice.array(dice.within(shape), dice.dtype(1)) for _ in range(2)]], {}


def _cast(dice: Dice) -> Drawn:
    x = dice.array(dice.shape(), low=0, high=7)
    return [x], {"to": onnx.helper.np_dtype_to_tensor_dtype(true_dtype(dice.pick(*TYPES)))}


def _reduction(dice: Dice) -> Drawn:
    shape = dice.full()
    if dice.op == "ReduceSumSquare":  # of which the evaluator widens whole numbers
        dice.types["T"] = dice.pick("float32", "float64")
    axes = [axis - len(shape) * dice.number(0, int(dice.opset >= 11)) for axis in dice.order(len(shape))]
    axes = axes[: dice.number(1, len(shape))]
    x, attributes = dice.array(shape, low=0.5, high=3), dice.maybe(keepdims=(0, 1), noop_with_empty_axes=(0, 1))
    if "axes" in dice.schema.attributes:
        return [x], {**attributes, **dice.maybe(axes=(axes,))}
    return [x, *([np.array(axes)] if dice.number(0, 2) else [])], attributes


def _of_axis(dice: Dice) -> Drawn:
    shape = dice.full(2)
    return [dice.array(shape)], dice.maybe(axis=(dice.axis(len(shape)),), keepdims=(0, 1), select_last_index=(0, 1), p=(1, 2))


def _running(dice: Dice) -> Drawn:
    shape = dice.full()
    return [dice.array(shape, low=-2, high=3), np.array(dice.axis(len(shape)))], dice.maybe(exclusive=(0, 1), reverse=(0, 1))


def _top_k(dice: Dice) -> Drawn:
    shape = dice.full()
    axis = dice.axis(len(shape))
    x, count = dice.array(shape), dice.number(1, shape[axis])
    if dice.opset < 10:
        return [x], {"axis": axis, "k": count}
    return [x, np.array([count])], {"axis": axis, **dice.maybe(largest=(0, 1))}


def _gather(dice: Dice) -> Drawn:
    shape = dice.full()
    axis = dice.axis(len(shape))
    low = -shape[axis] if dice.opset >= 11 else 0
    picked = list(dice.full(0, 2)) if dice.op == "Gather" else list(shape)
    if dice.op == "GatherElements":
        axis %= len(shape)  # the evaluator takes indices of another size along an axis that is not negative alone
        picked[axis] = dice.number(1, 6)
    return [dice.array(shape), dice.rng.integers(low, shape[axis], picked)], {"axis": axis}


def _scatter(dice: Dice) -> Drawn:
    shape = dice.full()
    axis = dice.axis(len(shape))
    picked = [dice.number(1, size) for size in shape]
    kinds = ["none", "add", "mul"] if dice.opset >= 16 else ["none"]
    kinds += ["max", "min"] if dice.opset >= 18 else []
    kind = dice.pick(*kinds) if dice.dtype() != "bool" else "none"
    places = dice.rng.integers(0, shape[axis], picked)
    if kind == "none":  # each place once, as which of several stays is open
        places = np.argsort(
            dice.rng.random([*picked[: axis % len(shape)], shape[axis], *picked[axis % len(shape) + 1 :]]), axis
        )
        places = np.take(places, range(picked[axis]), axis)
    return [dice.array(shape), places, dice.array(picked)], {"axis": axis, **({} if kind == "none" else {"reduction": kind})}


def _slice(dice: Dice) -> Drawn:
    shape = dice.shape(1)
    axes = dice.order(len(shape))[: dice.number(1, len(shape))]
    starts, ends = ([dice.number(-size - 2, size + 2) for size in (shape[axis] for axis in axes)] for _ in range(2))
    if dice.opset < 10:
        return [dice.array(shape)], {"axes": axes, "starts": starts, "ends": ends}
    steps = [dice.pick(1, 1, 2, -1, -3) for _ in axes]
    return [dice.array(shape), *map(np.array, (starts, ends, axes, steps))], {}


def _pad(dice: Dice) -> Drawn:
    shape = dice.full()
    mode = dice.pick("constant", "reflect", "edge")
    pads = [dice.number(0, size - 1 if mode == "reflect" else 2) for size in shape * 2]
    if dice.opset < 11:
        return [dice.array(shape)], {"mode": mode, "pads": pads, "value": 1.5}
    return [dice.array(shape), np.array(pads), dice.array(())], {"mode": mode}


def _reshape(dice: Dice) -> Drawn:
    x = dice.array(dice.full())
    sizes = [x.size // 2, 2] if x.size % 2 == 0 else [x.size]
    sizes[dice.number(0, len(sizes) - 1)] = -1
    return [x, np.array(dice.pick(sizes, [0, -1], [-1]))], {}


def _transpose(dice: Dice) -> Drawn:
    shape = dice.shape(1)
    return [dice.array(shape)], dice.maybe(perm=(dice.order(len(shape)),))


def _expand(dice: Dice) -> Drawn:
    shape = dice.shape()
    return [dice.array(dice.within(shape)), np.array(shape, np.int64)], {}


def _concat(dice: Dice) -> Drawn:
    shape = list(dice.shape(1))
    axis = dice.axis(len(shape))
    parts = [[*shape[: axis % len(shape)], dice.number(0, 3), *shape[axis % len(shape) + 1 :]] for _ in range(3)]
    return [dice.array(part) for part in parts], {"axis": axis}


def _product(dice: Dice) -> Drawn:
    batch, (rows, inner, columns) = dice.full(0, 2), dice.full(3, 3)
    return [dice.array((*batch, rows, inner)), dice.array((*dice.within(batch), inner, columns))], {}


def _gemm(dice: Dice) -> Drawn:
    (rows, inner, columns), turned = dice.full(3, 3), [dice.number(0, 1) for _ in range(2)]
    dice.types["T"] = dice.pick("float32", "float64", "float16")
    matrices = [
        dice.array(shape[:: -1 if turn else 1]) for shape, turn in zip([(rows, inner), (inner, columns)], turned, strict=True)
    ]
    bias = dice.array(dice.pick((rows, columns), (columns,), (1, columns), (rows, 1), ()))
    return [*matrices, bias], {"transA": turned[0], "transB": turned[1], **dice.maybe(alpha=(0.5, 2.0), beta=(0.5, 2.0))}


def _windows(dice: Dice, axes: int) -> dict[str, Any]:
    kernel = [dice.number(1, 3) for _ in range(axes)]
    pads = {"pads": [dice.number(0, size - 1) for size in kernel * 2]}
    around = dice.pick(pads, {}, {"auto_pad": "SAME_UPPER"}, {"auto_pad": "VALID"})
    strides = [dice.number(1, 3) for _ in range(axes)]
    return {"kernel_shape": kernel, **around, **dice.maybe(strides=(strides,), ceil_mode=(0, 1), count_include_pad=(0, 1))}


def _pool(dice: Dice) -> Drawn:
    axes = dice.number(1, 2)
    shape = (dice.number(1, 2), dice.number(1, 3), *[dice.number(3, 7) for _ in range(axes)])
    return [dice.array(shape)], _windows(dice, axes)


def _convolution(dice: Dice) -> Drawn:
    axes, groups, channels, filters = dice.number(1, 2), dice.pick(1, 1, 2), dice.number(1, 2), dice.number(1, 2)
    attributes = {**_windows(dice, axes), "group": groups}
    x = dice.array((dice.number(1, 3), groups * channels, *[dice.number(3, 6) for _ in range(axes)]))
    weight = dice.array((groups * filters, channels, *attributes["kernel_shape"]))
    return [x, weight, *([dice.array((groups * filters,))] if dice.number(0, 1) else [])], attributes


def _batch(dice: Dice) -> Drawn:
    shape = dice.full(2)
    kinds = [dice.dtype(index) for index in range(5)]
    parts = [dice.array((shape[1],), kind, 0.5, 2) for kind in kinds[1:]]
    return [dice.array(shape, kinds[0]), *parts], dice.maybe(epsilon=(1e-3, 1e-5))


def _layer(dice: Dice) -> Drawn:
    shape = dice.full(2)
    axis = dice.axis(len(shape))
    return [dice.array(shape), *[dice.array(shape[axis:], dice.dtype(1)) for _ in range(2)]], {"axis": axis}


def _resize(dice: Dice) -> Drawn:
    places = ["half_pixel", "asymmetric", "align_corners"]
    mode = dice.pick({"mode": "linear"}, {"mode": "cubic"}, {"mode": "nearest", "nearest_mode": dice.pick("floor", "ceil")})
    sizes = np.array([1, 2, dice.number(1, 9), dice.number(1, 9)])
    dice.types["T1"] = "float32"
    absent = None if dice.opset >= 13 else np.zeros(0, np.float32)
    x = dice.array((1, 2, dice.number(2, 5), dice.number(2, 5)))
    return [x, absent, absent, sizes], {**mode, "coordinate_transformation_mode": dice.pick(*places)}


def _quantize(dice: Dice) -> Drawn:
    shape = dice.full(2)
    axis = dice.axis(len(shape))
    per = dice.pick({}, {"axis": axis}) if dice.opset >= 13 else {}
    dice.types.update(
        {"T1": "float32", "T2": "uint8", "T3": "uint8"}
        if dice.op[0] == "Q"
        else {"T1": "float32", "T": "uint8", "T2": "float32"}
    )
    count = (shape[axis],) if per else ()
    x = dice.array(shape, "float32" if dice.op[0] == "Q" else "uint8", -4, 9)
    return [x, dice.array(count, "float32", 0.3, 1), dice.array(count, "uint8", 0, 9)], per


DRAWN: dict[Callable[[Dice], Drawn], str] = {
    _unary: "Abs Ceil Cos Exp Floor Neg Relu Sigmoid Sign Sin Softplus Tanh Not Elu LeakyRelu Selu HardSigmoid Gelu Round Identity Size",
    _binary: "Add Sub Mul Less Greater Equal And Or Xor PRelu",
    _divide: "Div Mod",
    _several: "Max Min Sum Mean",
    _where: "Where",
    _cast: "Cast",
    _reduction: "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare",
    _of_axis: "Softmax LogSoftmax Hardmax ArgMax ArgMin Flatten LpNormalization",
    _running: "CumSum",
    _top_k: "TopK",
    _gather: "Gather GatherElements",
    _scatter: "ScatterElements",
    _slice: "Slice",
    _pad: "Pad",
    _reshape: "Reshape",
    _transpose: "Transpose",
    _expand: "Expand",
    _concat: "Concat",
    _product: "MatMul",
    _gemm: "Gemm",
    _pool: "MaxPool AveragePool",
    _convolution: "Conv",
    _batch: "BatchNormalization",
    _layer: "LayerNormalization",
    _resize: "Resize",
    _quantize: "QuantizeLinear DequantizeLinear",
}
DRAW = {op: draw for draw, names in DRAWN.items() for op in names.split()}


def _uses() -> list[tuple[str, int]]:
    """Each operator in the first and the last opset of each of its converters."""
    found: list[tuple[str, int]] = []
    histories: dict[str, list[int]] = {op: [] for op in DRAW}
    for schema in onnx.defs.get_all_schemas_with_history():
        if not schema.domain and schema.name in DRAW:
            histories[schema.name].append(max(schema.since_version, FIRST.get(schema.name, 7)))
    starts = {op: [each.since for each in registry.converters() if (each.domain, each.op) == ("", op)] for op in DRAW}
    for op, versions in sorted(histories.items()):
        for start, after in itertools.pairwise([*starts[op], 1000]):
            held = [version for version in versions if start <= version < after]
            found += [(op, version) for version in sorted({min(held), max(held)})] if held else []
    return found


@pytest.mark.parametrize(("op", "opset"), _uses())
def test_random_uses_answer_as_the_evaluator_does(op: str, opset: int) -> None:
    """Dtypes, shapes and numbers of every draw."""
    for seed in range(DRAWS):
        dice = Dice(op, opset, seed)
        inputs, attributes = DRAW[op](dice)
        known = [index for index, value in enumerate(inputs) if value is not None and dice.number(0, 2) == 0]
        model = node_model(op, inputs, attributes, opset=opset, domain="", outputs=OUTPUTS.get(op, 1))
        feeds = {f"x{index}": value for index, value in enumerate(inputs) if value is not None}
        want = oracle.reference(model).run(feeds)
        rounding = max((ROUNDING.get(str(value.dtype), 0) for value in [*feeds.values(), *want]), default=0)
        scale = max((float(np.abs(value).max()) for value in want if value.size and value.dtype.kind == "f"), default=1)
        rest: dict[str, Any] = {"outputs": len(want), "known": known, "want": want}
        check(op, inputs, attributes, opset=opset, rtol=rounding, atol=rounding * max(scale, 1), **rest)
