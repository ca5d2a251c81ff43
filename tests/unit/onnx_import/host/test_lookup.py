"""Tables and maps."""

from __future__ import annotations

import numpy as np
import pytest

from onnx_import.errors import InvalidInput
from onnx_import.host import lookup


def a_map(**pairs: float) -> np.ndarray:
    """A map as it is carried."""
    carried = np.empty((), dtype=object)
    carried[()] = {int(key[1:]): value for key, value in pairs.items()}
    return carried


def test_table() -> None:
    """The last of equal keys counts, any NaN finds NaN's entry, what is not there gets the default."""
    table = lookup.table_of([1.0, 2.0, 1.0, float("nan")], ["a", "b", "c", "n"])
    x = np.array([[1, 2], [np.nan, 5]], dtype=np.float32)
    assert lookup.look_up(x, table=table, default="?", dtype="object")[0].tolist() == [["c", "b"], ["n", "?"]]


def test_zip_map() -> None:
    """A dict for each row, of plain numbers; as many labels as columns or an error."""
    maps = lookup.zip_map(np.array([[0.25, 0.75]], np.float32), labels=["no", "yes"])[0]
    assert maps.tolist() == [{"no": 0.25, "yes": 0.75}]
    assert lookup.zip_map(np.array([1.0, 2.0]), labels=[7, 8])[0].tolist() == [{7: 1.0, 8: 2.0}]
    with pytest.raises(InvalidInput, match="2 labels"):
        lookup.zip_map(np.zeros((1, 3)), labels=["no", "yes"])


def test_vectorize() -> None:
    """Values in the vocabulary's order, nothing for what is not in the map."""
    assert lookup.vectorize(a_map(k3=1.5, k1=2.5), vocabulary=[1, 2, 3], dtype="float32")[0].tolist() == [2.5, 0, 1.5]


def test_cast_map() -> None:
    """Dense is by rising key; sparse is by place, and a key outside is named."""
    pairs = a_map(k3=1.5, k1=2.5)
    assert lookup.cast_map(pairs, convert=float, dtype="float32", length=None)[0].tolist() == [[2.5, 1.5]]
    assert lookup.cast_map(pairs, convert=str, dtype="object", length=4)[0].tolist() == [["", "2.5", "", "1.5"]]
    with pytest.raises(InvalidInput, match="key 3"):
        lookup.cast_map(pairs, convert=float, dtype="float32", length=3)
