"""Tables -> rows of the model's only input: what turns lines of numbers into images, sequences or scalars."""

from __future__ import annotations

from math import prod

from serving.invocation import Array
from serving.models.signature import Signature, Tensor


def only(signature: Signature | None) -> Tensor | None:
    """Return the model's input where it has just one, else None."""
    return signature.inputs[0] if signature is not None and len(signature.inputs) == 1 else None


def fit(table: Array, signature: Signature | None) -> Array:
    """Reshape a table of (lines, columns) to (-1,) + row shape, where the model's only input has a row shape that fits.

    A line is a whole row, or one of the innermost slices of a row that are as long: for rows of 28 x 28, lines of 784 or
    of 28 numbers. Any other table stays as it is, for the signature's check to say what is wrong with it.
    """
    tensor = only(signature)
    if tensor is None or tensor.row is None:
        return table
    lines, columns = table.shape
    free = tensor.row.count(None)
    if free:
        known = prod(size for size in tensor.row if size is not None)
        shape = tuple(-1 if size is None else size for size in tensor.row)
        return table.reshape(lines, *shape) if free == 1 and known and columns % known == 0 else table
    row = tuple(size for size in tensor.row if size is not None)
    whole = range(len(row)) if row else range(1)
    if any(columns == prod(row[axis:]) and lines % prod(row[:axis]) == 0 for axis in whole):
        return table.reshape(-1, *row)
    return table
