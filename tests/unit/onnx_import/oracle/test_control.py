"""Loop and Scan: limits, conditions, captures, axes and directions."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser

from onnx_import import oracle

LOOP = """
<ir_version: 8, opset_import: ["" : 16]>
g (int64 m, float[2] outer) => (float[2] last, float[k, 2] all) {
    start = Constant <value_floats = [0.0, 0.0]> ()
    condition = Constant <value = bool {1}> ()
    last, all = Loop (m, condition, start) <body = b (int64 i, bool c, float[2] x) => (bool c2, float[2] y, float[2] z) {
        c2 = Identity (c)
        y = Add (x, outer)
        z = Identity (y)
    }>
}
"""


def scan_model(attributes: str, axis: int = 0) -> onnx.ModelProto:
    """Running sums over an axis of a matrix."""
    return parser.parse_model(f"""
    <ir_version: 8, opset_import: ["" : 16]>
    g (float[a, b] x) => (float[n] total, float[p, q] sums) {{
        zero = Constant <value = float {{0.0}}> ()
        shape = Constant <value_ints = [2]> ()
        start = Expand (zero, shape)
        total, sums = Scan <num_scan_inputs = 1{attributes}, body = b (float[n] s, float[n] e) => (float[n] t, float[n] u) {{
            t = Add (s, e)
            u = Identity (t)
        }}> (start, x)
    }}""")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_loop_counts_to_its_limit_and_reads_outer_values(count: int) -> None:
    """What is carried on adds up; what is collected is stacked, even nothing."""
    feeds = {"m": np.array(count), "outer": np.array([1, 2], np.float32)}
    last, everything = oracle.reference(parser.parse_model(LOOP)).run(feeds)
    assert last.tolist() == [count, 2 * count]
    assert everything.shape == (count, 2)


def test_loop_without_limit_ends_by_its_condition() -> None:
    """The condition that the body gives ends it."""
    model = parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 16]>
    g (int64 start) => (int64 last) {
        last = Loop (, , start) <body = b (int64 i, bool c, int64 x) => (bool c2, int64 y) {
            one = Constant <value_int = 1> ()
            ten = Constant <value_int = 10> ()
            y = Add (x, one)
            c2 = Less (y, ten)
        }>
    }""")
    assert oracle.reference(model).run({"start": np.array(4)}) == [10]


def test_scan_sums_along_the_first_axis() -> None:
    """A row at a time."""
    x = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    total, sums = oracle.reference(scan_model("")).run({"x": x})
    assert total.tolist() == [9, 12]
    np.testing.assert_array_equal(sums, x.cumsum(0))


def test_scan_takes_other_axes_and_directions() -> None:
    """Columns from the right, laid down as columns from the left."""
    x = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    given = ", scan_input_axes = [1], scan_input_directions = [1], scan_output_axes = [1], scan_output_directions = [1]"
    total, sums = oracle.reference(scan_model(given)).run({"x": x})
    assert total.tolist() == [6, 15]
    np.testing.assert_array_equal(sums, x[:, ::-1].cumsum(1)[:, ::-1])


def test_scan_8_runs_each_sample_to_its_length() -> None:
    """Opset 8 has a batch; beyond a sample's end there are zeros."""
    model = parser.parse_model("""
    <ir_version: 3, opset_import: ["" : 8]>
    g (int64[2] lengths, float[2, 1] start, float[2, 3, 1] x) => (float[2, 1] total, float[2, 3, 1] sums) {
        total, sums = Scan <num_scan_inputs = 1, body = b (float[1] s, float[1] e) => (float[1] t, float[1] u) {
            t = Add (s, e)
            u = Identity (t)
        }> (lengths, start, x)
    }""")
    feeds = {"lengths": np.array([2, 3]), "start": np.zeros((2, 1), np.float32), "x": np.ones((2, 3, 1), np.float32)}
    total, sums = oracle.reference(model).run(feeds)
    assert total.ravel().tolist() == [2, 3]
    assert sums.squeeze().tolist() == [[1, 2, 0], [1, 2, 3]]
