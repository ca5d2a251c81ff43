"""Tables as rows of a model's only input."""

from __future__ import annotations

import numpy as np
import pytest

from serving.codecs import rows
from serving.models.signature import Signature, Tensor
from tests.unit.serving.codecs.contract import one_input

TWO = Signature((Tensor("a", (None, 2), np.dtype("f4")), Tensor("b", (None, 2), np.dtype("f4"))))


def test_only() -> None:
    """The only input is the one of a signature that has one."""
    signature = one_input(None, 2)
    assert rows.only(signature) is signature.inputs[0]
    assert rows.only(TWO) is None
    assert rows.only(None) is None


@pytest.mark.parametrize(
    "signature", [None, TWO, Signature((Tensor("a", None, np.dtype("f4")),))], ids=["none", "two", "unknown"]
)
def test_no_row_shape(signature: Signature | None) -> None:
    """Without one known row shape a table stays as it is."""
    table = np.zeros((3, 2))
    assert rows.fit(table, signature) is table


def test_values_keep_their_order() -> None:
    """Rows are filled in the order of the lines."""
    table = np.arange(8).reshape(4, 2)
    assert rows.fit(table, one_input(None, 2, 2)).tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
