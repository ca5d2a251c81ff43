"""What shape an operator's input must have, one small rule for each kind of operator: the table behind `shapes.infer`.

A rule gets the graph, the operator, the slot and the shape that its output must have, and answers the shape its input must
have (None for a size that is open), or None where it cannot tell. Reshape and Flatten are absent on purpose: any shape with
the right product goes through them, which a shape cannot say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from serving.models.graph import VARIABLE, Graph, Node

Shape: TypeAlias = tuple[int | None, ...] | None
Rule: TypeAlias = Callable[[Graph, Node, int, Shape], Shape]

GATES = {"rnn_relu": 1, "rnn_tanh": 1, "lstm": 4, "gru": 3}


def demands(graph: Graph) -> list[Shape]:
    """For each node the shape that the first of its consumers to fix one asks for, or None; from the last node back."""
    asked: list[Shape] = [None] * len(graph.nodes)
    for node in reversed(graph.nodes):
        for user, slot in graph.consumers(node):
            rule = RULES.get(user.op)
            asked[node.at] = rule(graph, user, slot, asked[user.at]) if rule else None
            if asked[node.at] is not None:
                break
    return asked


def _keep(graph: Graph, user: Node, slot: int, after: Shape) -> Shape:
    return after if slot == 0 else None


def _elementwise(graph: Graph, user: Node, slot: int, after: Shape) -> Shape:
    return after


def _broadcast(graph: Graph, user: Node, slot: int, after: Shape) -> Shape:
    """As what follows; else by the parameter on the other side, a mean of shape (1, 3, 1, 1) say."""
    other = graph.parameter(user, 1 - slot)
    if after is None and other is not None and len(other) > 1:
        return (None, *(size if size > 1 else None for size in other[1:]))
    return after


def _fully_connected(graph: Graph, user: Node, slot: int, after: Shape) -> Shape:
    """With `flatten`, rows of in_units; without it the rank is open."""
    weight = graph.parameter(user, 1)
    if slot or weight is None or len(weight) != 2 or not user.flag("flatten", True):
        return None
    return (None, weight[1])


def _dot(graph: Graph, user: Node, slot: int, after: Shape) -> Shape:
    weight = graph.parameter(user, 1)
    if slot or weight is None or len(weight) != 2 or user.flag("transpose_a", False):
        return None
    return (None, weight[1] if user.flag("transpose_b", False) else weight[0])


def _convolution(graph: Graph, user: Node, slot: int, after: Shape) -> Shape:
    """The weight is (out, in / groups, kernel...), or with the channels last (out, kernel..., in / groups)."""
    weight = graph.parameter(user, 1)
    if slot or weight is None or len(weight) < 3:
        return None
    channels = weight[-1 if _channels_last(user) else 1] * user.number("num_group", 1)
    return _image(user, len(weight), channels)


def _deconvolution(graph: Graph, user: Node, slot: int, after: Shape) -> Shape:
    """The weight is (in, out / groups, kernel...)."""
    weight = graph.parameter(user, 1)
    if slot or weight is None or len(weight) < 3:
        return None
    return _image(user, len(weight), weight[0])


def _pooling(graph: Graph, user: Node, slot: int, after: Shape) -> Shape:
    """Sizes are open before a pooling, the channels what follows asks for; the kernel alone tells the rank."""
    kernel = user.shape_attr("kernel")
    rank = len(after) if after is not None else len(kernel) + 2 if kernel else 0
    channels = after[-1 if _channels_last(user) else 1] if after is not None and len(after) > 1 else None
    return _image(user, rank, channels) if rank > 2 else None


def _pad(graph: Graph, user: Node, slot: int, after: Shape) -> Shape:
    widths = user.shape_attr("pad_width")
    if after is None or widths is None or len(widths) != 2 * len(after):
        return None
    margins = [low + high for low, high in zip(widths[::2], widths[1::2], strict=True)]
    return tuple(None if size is None else size - margin for size, margin in zip(after, margins, strict=True))


def _rnn(graph: Graph, user: Node, slot: int, after: Shape) -> Shape:
    """(time, rows, features); the states of the other slots have their rows inside, so theirs stay open."""
    features = _rnn_features(graph, user)
    return (None, None, features) if slot == 0 and features else None


def _rnn_features(graph: Graph, user: Node) -> int | None:
    """From the one vector of all weights, or from the first matrix of which a Gluon layer joins it."""
    packed = graph.parameter(user, 1)
    if packed is None:
        source = graph.nodes[user.inputs[1]] if len(user.inputs) > 1 else user
        while source.op != VARIABLE and source.inputs:
            source = graph.nodes[source.inputs[0]]
        first = graph.parameters.get(source.name, ())
        return first[1] if len(first) == 2 else None
    gates, hidden = GATES.get(user.attrs.get("mode", ""), 0), user.number("state_size", 0)
    ways, layers = 2 if user.flag("bidirectional", False) else 1, user.number("num_layers", 0)
    if len(packed) != 1 or not gates or not hidden or not layers or user.attrs.get("projection_size", "None") != "None":
        return None
    row = gates * hidden * ways
    biases, upper = 2 * row * layers, row * (hidden * ways + hidden) * (layers - 1)
    features, rest = divmod(packed[0] - biases - upper - row * hidden, row)
    return features if rest == 0 and features > 0 else None


def _transpose(graph: Graph, user: Node, slot: int, after: Shape) -> Shape:
    if after is None:
        return None
    axes = user.shape_attr("axes") or tuple(range(len(after)))[::-1]
    if sorted(axes) != list(range(len(after))):
        return None
    return tuple(after[axes.index(axis)] for axis in range(len(after)))


def _swap_axes(graph: Graph, user: Node, slot: int, after: Shape) -> Shape:
    one, two = user.number("dim1", 0), user.number("dim2", 0)
    if after is None or max(one, two) >= len(after) or min(one, two) < 0:
        return None
    sizes = list(after)
    sizes[one], sizes[two] = sizes[two], sizes[one]
    return tuple(sizes)


def _expand_dims(graph: Graph, user: Node, slot: int, after: Shape) -> Shape:
    axis = user.number("axis", 0)
    if after is None or not -len(after) <= axis < len(after) or axis % len(after) == 0:
        return None
    return (*after[: axis % len(after)], *after[axis % len(after) + 1 :])


def _channels_last(user: Node) -> bool:
    return user.attrs.get("layout", "None").endswith("C")


def _image(user: Node, rank: int, channels: int | None) -> Shape:
    sizes: list[int | None] = [None] * rank
    sizes[-1 if _channels_last(user) else 1] = channels
    return tuple(sizes)


KEEPING = (
    "Activation BatchNorm BatchNorm_v1 BlockGrad Cast Dropout GroupNorm IdentityAttachKLSparseReg InstanceNorm L2Normalization"
    " LRN LayerNorm LeakyReLU LinearRegressionOutput LogisticRegressionOutput MAERegressionOutput SVMOutput SoftmaxActivation"
    " SoftmaxOutput _contrib_SyncBatchNorm _copy abs amp_cast arcsinh clip cos erf exp hard_sigmoid log log1p log_softmax"
    " negative relu round rsqrt sigmoid sign sin softmax softmin softsign sqrt square tanh"
)
SCALAR = "add div divide maximum minimum minus mod multiply mul plus power rdiv rminus rpower subtract true_divide"
PAIRS = "add div divide maximum minimum mul multiply sub subtract true_divide"

RULES: dict[str, Rule] = {
    "FullyConnected": _fully_connected,
    "dot": _dot,
    "_npi_matmul": _dot,
    "Convolution": _convolution,
    "Convolution_v1": _convolution,
    "Deconvolution": _deconvolution,
    "Pooling": _pooling,
    "Pooling_v1": _pooling,
    "UpSampling": _pooling,
    "_contrib_BilinearResize2D": _pooling,
    "Pad": _pad,
    "RNN": _rnn,
    "transpose": _transpose,
    "_np_transpose": _transpose,
    "_npi_transpose": _transpose,
    "SwapAxis": _swap_axes,
    "expand_dims": _expand_dims,
    **dict.fromkeys(KEEPING.split(), _keep),
    **{f"{start}{word}_scalar": _keep for word in SCALAR.split() for start in ("_", "_npi_", "_r", "_npi_r")},
    **{f"{start}{word}": _broadcast for word in PAIRS.split() for start in ("broadcast_", "_npi_")},
    **{name: _elementwise for name in ("elemwise_add", "elemwise_sub", "elemwise_mul", "elemwise_div", "_Plus", "_Minus")},
}
