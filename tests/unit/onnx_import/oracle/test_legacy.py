"""Old opsets: every operator answers by the definition of its own version."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.onnx_import.oracle.asking import ask

X = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)


def test_softmax_of_opset_11_normalizes_everything_from_axis_1_on() -> None:
    """Before opset 13 softmax sees a matrix: all of a sample sums to one."""
    assert ask("Softmax", [X], 11).reshape(2, -1).sum(axis=1) == pytest.approx([1, 1], abs=1e-6)


def test_softmax_of_opset_13_normalizes_the_last_axis() -> None:
    """From opset 13 on softmax runs along one axis."""
    assert ask("Softmax", [X], 13).sum(axis=-1) == pytest.approx(np.ones((2, 3, 4)), abs=1e-6)


def test_log_softmax_of_opset_11_is_the_logarithm_of_its_softmax() -> None:
    """Both flatten their input in the same way."""
    np.testing.assert_allclose(np.exp(ask("LogSoftmax", [X], 11, axis=2)), ask("Softmax", [X], 11, axis=2), rtol=1e-5)


def test_hardmax_of_opset_11_marks_one_element_a_sample() -> None:
    """The largest element of everything from axis 1 on is marked."""
    found = ask("Hardmax", [X], 11)
    assert found.sum() == 2
    assert found.reshape(2, -1).argmax(1).tolist() == X.reshape(2, -1).argmax(1).tolist()


@pytest.mark.parametrize("opset", [6, 7, 9])
def test_batch_normalization_uses_the_given_statistics_whatever_momentum_says(opset: int) -> None:
    """With one output the old versions infer: the batch's own mean and variance play no part."""
    scale, bias, mean, var = np.random.default_rng(1).random((4, 3)).astype(np.float32)
    shape = (1, 3, 1, 1)
    want = (X - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 1e-5) * scale.reshape(shape) + bias.reshape(shape)
    got = ask("BatchNormalization", [X, scale, bias, mean, var], opset, momentum=0.5)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_batch_normalization_without_spatial_takes_statistics_of_each_activation() -> None:
    """spatial=0 of opset 7: parameters have the shape of a sample."""
    scale, bias, mean, var = np.random.default_rng(1).random((4, 3, 4, 5)).astype(np.float32)
    got = ask("BatchNormalization", [X, scale, bias, mean, var], 7, spatial=0)
    np.testing.assert_allclose(got, (X - mean) / np.sqrt(var + 1e-5) * scale + bias, rtol=1e-4, atol=1e-5)


def test_add_of_opset_6_aligns_its_second_input_at_an_axis() -> None:
    """axis=1 with broadcast=1: one value a channel."""
    b = np.array([1, 2, 3], np.float32)
    np.testing.assert_array_equal(ask("Add", [X, b], 6, axis=1, broadcast=1), X + b.reshape(3, 1, 1))


@pytest.mark.parametrize("opset", [1, 6, 7, 10])
def test_dropout_drops_nothing(opset: int) -> None:
    """A ratio says nothing about inference."""
    np.testing.assert_array_equal(ask("Dropout", [X], opset, ratio=0.9), X)


def test_reshape_of_opset_1_takes_its_shape_from_an_attribute() -> None:
    """0 keeps a size and -1 takes the rest."""
    assert ask("Reshape", [X], 1, shape=[0, -1, 5]).shape == (2, 12, 5)


def test_concat_of_opset_1_joins_along_axis_1_unless_said() -> None:
    """The default of opset 1, which opset 4 took away."""
    assert ask("Concat", [X, X], 1).shape == (2, 6, 4, 5)


@pytest.mark.parametrize("split", [[1, 2], None], ids=["unequal", "equal"])
def test_split_of_opset_1_cuts_by_its_attribute(split: list[int] | None) -> None:
    """The sizes listed, or equal ones."""
    given = {"split": split, "axis": 1} if split else {"axis": 2}
    first, second = ask("Split", [X], 1, outputs=2, **given)
    assert (first.shape, second.shape) == (((2, 1, 4, 5), (2, 2, 4, 5)) if split else ((2, 3, 2, 5), (2, 3, 2, 5)))


def test_tile_of_opset_1_repeats_one_axis() -> None:
    """Tiles and axis are numbers."""
    assert ask("Tile", [X, np.array(3), np.array(1)], 1).shape == (2, 9, 4, 5)


def test_cast_of_opset_1_names_its_type() -> None:
    """`to` is a word."""
    assert ask("Cast", [X], 1, to="INT32").dtype == np.int32


def test_squeeze_takes_axes_in_any_order() -> None:
    """The axes count in the input, not in what is left of it."""
    assert ask("Squeeze", [X.reshape(1, 2, 1, 60)], 11, axes=[2, 0]).shape == (2, 60)


def test_clip_of_opset_6_keeps_the_type() -> None:
    """Limits are attributes; an open one limits nothing."""
    got = ask("Clip", [X], 6, max=0.5)
    assert got.dtype == np.float32
    assert got.max() == 0.5
    assert got.min() == X.min()


def test_scatter_writes_updates_along_its_axis() -> None:
    """The name that ScatterElements had until opset 11."""
    got = ask("Scatter", [np.zeros((1, 4)), np.array([[1, 3]]), np.array([[5.0, 6.0]])], 9, axis=1)
    assert got.tolist() == [[0, 5, 0, 6]]


def test_roi_align_of_opset_10_knows_no_half_pixel() -> None:
    """A ramp shows the shift: opset 16's default samples half a pixel earlier."""
    ramp = np.tile(np.arange(8, dtype=np.float32), (8, 1))[None, None]
    given = [ramp, np.array([[0, 0, 4, 4]], np.float32), np.array([0])]
    old, new = (ask("RoiAlign", given, opset, output_height=2, output_width=2, sampling_ratio=2) for opset in (10, 16))
    assert (old - new).ravel() == pytest.approx([0.5, 0.5, 0.5, 0.5], abs=0.13)


def test_consumed_inputs_of_opset_1_are_a_hint_alone() -> None:
    """What opset 1 said about working in place changes no result."""
    np.testing.assert_array_equal(ask("Relu", [X], 1, consumed_inputs=[0]), np.maximum(X, 0))


def test_defaults_are_those_of_the_models_opset() -> None:
    """Selu's alpha had four digits in opset 1."""
    got = ask("Selu", [np.array([-50.0], np.float32)], 1)
    assert got[0] == pytest.approx(-1.6732 * 1.0507, abs=2e-6)
