"""Einstein summation, two operands at a time, each pair as one product of matrices."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from onnx_import.errors import InvalidInput, InvalidModel
from onnx_import.nd.elementwise import multiply
from onnx_import.nd.linear import matmul
from onnx_import.nd.reducing import reduce_sum
from onnx_import.nd.shaping import expand, reshape, slice_axis, transpose
from onnx_import.nd.value import Value

__all__ = ["einsum"]


@dataclass(frozen=True)
class Term:
    """A tensor, and a label for each of its axes; those that `...` stands for are named `...0` and on, from the last one."""

    value: Value
    labels: tuple[str, ...]

    def size(self, label: str) -> int:
        """How long the axis of a label is."""
        return self.value.shape[self.labels.index(label)]


def einsum(equation: str, values: Sequence[Value]) -> Value:
    """numpy.einsum; InvalidModel where the equation is none, InvalidInput where sizes do not fit it."""
    terms, output = _parsed(equation, values)
    terms = [_diagonal(term) for term in terms]
    result = terms[0]
    for place, other in enumerate(terms[1:], 1):
        later = {label for term in terms[place + 1 :] for label in term.labels} | set(output)
        result = _product(result, other, later)
    result = _summed(result, set(output))
    return transpose(result.value, [result.labels.index(label) for label in output])


def _parsed(equation: str, values: Sequence[Value]) -> tuple[list[Term], list[str]]:
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    if not all(re.fullmatch(r"[a-zA-Z]*(\.\.\.)?[a-zA-Z]*", part) for part in (*parts, right)) or len(parts) != len(values):
        raise InvalidModel(f"equation {equation!r} is none for {len(values)} operands")
    terms = [Term(value, _labels(part, value.rank, equation)) for part, value in zip(parts, values, strict=True)]
    longest = max((sum(label[0] == "." for label in term.labels) for term in terms), default=0)
    open_axes = [f"...{place}" for place in reversed(range(longest))]
    if arrow:
        before, dots, after = right.partition("...")
        output = [*before, *(open_axes if dots else []), *after]
    else:
        letters = left.replace(",", "").replace(".", "")
        output = open_axes + sorted(letter for letter in set(letters) if letters.count(letter) == 1)
    known = {label for term in terms for label in term.labels}
    if len(set(output)) < len(output) or not set(output) <= known:
        raise InvalidModel(f"equation {equation!r} has an output that its operands do not give")
    return terms, output


def _labels(part: str, rank: int, equation: str) -> tuple[str, ...]:
    before, dots, after = part.partition("...")
    rest = rank - len(before) - len(after)
    if rest < 0 or (rest and not dots):
        raise InvalidInput(f"a tensor of {rank} axes does not fit {part!r} of equation {equation!r}")
    return (*before, *[f"...{place}" for place in reversed(range(rest))], *after)


def _diagonal(term: Term) -> Term:
    """A label that stands twice in a term takes the diagonal."""
    value, labels = term.value, list(term.labels)
    for label in sorted(set(labels)):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            size = value.shape[first]
            if value.shape[second] != size:
                raise InvalidInput(f"axes {label!r} are {size} and {value.shape[second]} long")
            rest = [axis for axis in range(value.rank) if axis not in (first, second)]
            shape = [value.shape[axis] for axis in rest]
            flat = reshape(transpose(value, [first, second, *rest]), (size * size, *shape))
            value = slice_axis(flat, 0, 0, size * size, size + 1)
            labels = [label, *[labels[axis] for axis in rest]]
    return Term(value, tuple(labels))


def _summed(term: Term, kept: set[str]) -> Term:
    axes = [axis for axis, label in enumerate(term.labels) if label not in kept]
    if not axes:
        return term
    return Term(reduce_sum(term.value, axes, keepdims=False), tuple(label for label in term.labels if label in kept))


def _product(x: Term, y: Term, later: set[str]) -> Term:
    """Both multiplied, summed over what they share and nothing later needs."""
    x, y = _summed(x, later | set(y.labels)), _summed(y, later | set(x.labels))
    shared = [label for label in x.labels if label in y.labels]
    batch = [label for label in shared if label in later]
    inner = [label for label in shared if label not in later]
    own = [label for label in x.labels if label not in shared]
    others = [label for label in y.labels if label not in shared]
    sizes = {label: _common(x, y, label) for label in shared}
    sizes.update({label: x.size(label) for label in own} | {label: y.size(label) for label in others})
    labels = (*batch, *own, *others)
    left = _arranged(x, (batch, own, inner), sizes)
    right = _arranged(y, (batch, inner, others), sizes)
    product = matmul(left, right) if inner else multiply(left, right)
    return Term(reshape(product, [sizes[label] for label in labels]), labels)


def _common(x: Term, y: Term, label: str) -> int:
    a, b = x.size(label), y.size(label)
    if a != b and 1 not in (a, b):
        raise InvalidInput(f"axes {label!r} are {a} and {b} long")
    return b if a == 1 else a


def _arranged(term: Term, groups: Sequence[Sequence[str]], sizes: dict[str, int]) -> Value:
    """One axis for each group of labels, in that order."""
    order = [label for group in groups for label in group]
    value = transpose(term.value, [term.labels.index(label) for label in order])
    value = expand(value, [sizes[label] for label in order])
    return reshape(value, [math.prod(sizes[label] for label in group) for group in groups])
