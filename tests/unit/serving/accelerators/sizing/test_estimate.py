"""The estimate of a model's need: each rule on a graph of its own, and the whole against what a process really took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving.accelerators.sizing import estimate, measured
from serving.accelerators.sizing.estimate import Need
from tests.unit.serving.accelerators.sizing.networks import pictures

MIB = 1 << 20
Node = dict[str, Any]


def node(op: str, name: str, inputs: tuple[int, ...] = (), **attrs: object) -> Node:
    """A node as a symbol's JSON has it."""
    return {"op": op, "name": name, "inputs": [[at, 0, 0] for at in inputs], "attrs": {k: str(v) for k, v in attrs.items()}}


def need(nodes: list[Node], shapes: dict[str, tuple[int, ...]], inputs: tuple[str, ...] = ("x",)) -> Need:
    """The need of a graph whose parameters and values take nothing."""
    return estimate.of_graph({"nodes": nodes, "heads": [[len(nodes) - 1, 0, 0]]}, shapes, 0, 0, {n: shapes[n] for n in inputs})


def convolution(kernel: str, weight: tuple[int, ...], **attrs: object) -> Need:
    """The need of one convolution over (2, 8, 10, 10)."""
    nodes = [node("null", "x"), node("null", "w"), node("Convolution", "c", (0, 1), kernel=kernel, **attrs)]
    return need(nodes, {"x": (2, 8, 10, 10), "w": weight, "c_output": (2, weight[0], 10, 10)})


def test_a_convolution_keeps_its_weights_twice_filled_up() -> None:
    """oneDNN's copy has output channels up to the next multiple of 16."""
    assert convolution("(3, 3)", (16, 8, 3, 3)).copies == 4 * 16 * 8 * 9
    assert convolution("(3, 3)", (17, 8, 3, 3)).copies == 4 * 32 * 8 * 9


def test_the_input_of_the_graph_is_rearranged() -> None:
    """What a convolution reads from outside is copied into oneDNN's order."""
    assert convolution("(3, 3)", (16, 8, 3, 3)).rearranged == 4 * 2 * 8 * 10 * 10


def test_only_single_pixels_are_rearranged_between_convolutions() -> None:
    """A convolution of single pixels may want another order than the one before; larger and depthwise ones do not."""
    shapes = {"x": (1, 3, 4, 4), "w": (64, 3, 3, 3), "c_output": (1, 64, 4, 4), "d_output": (1, 64, 4, 4)}
    first = [node("null", "x"), node("null", "w"), node("Convolution", "c", (0, 1), kernel="(3, 3)"), node("null", "v")]
    large = need([*first, node("Convolution", "d", (2, 3), kernel="(3, 3)")], {**shapes, "v": (64, 64, 3, 3)})
    single = need([*first, node("Convolution", "d", (2, 3), kernel="(1, 1)")], {**shapes, "v": (64, 64, 1, 1)})
    assert large.rearranged == 4 * 3 * 16
    assert single.rearranged == 4 * 64 * 16
    deep = need([*first, node("Convolution", "d", (2, 3), kernel="(1, 1)", num_group=64)], {**shapes, "v": (64, 1, 1, 1)})
    assert deep.rearranged == 4 * 3 * 16


def test_channels_that_fill_no_blocks_are_rearranged() -> None:
    """For 24 channels side by side oneDNN has only plain kernels, depthwise ones too; for 32 it has its own."""
    nodes = [node("null", "x"), node("null", "w"), node("Convolution", "c", (0, 1), kernel="(3, 3)"), node("null", "v")]
    nodes.append(node("Convolution", "d", (2, 3), kernel="(3, 3)", num_group=24))
    moved = {}
    for channels in (24, 32):
        inner = {"c_output": (1, channels, 4, 4), "d_output": (1, channels, 4, 4)}
        shapes = {"x": (1, 3, 4, 4), "w": (channels, 3, 3, 3), "v": (channels, 1, 3, 3), **inner}
        moved[channels] = need(nodes, shapes).rearranged
    assert moved == {24: 4 * 24 * 16, 32: 4 * 3 * 16}


def test_the_largest_folded_weights_lie_there_once_more() -> None:
    """While batch norm is written into a convolution its weights are there a third time, one convolution's at a time."""
    nodes = [node("null", "x"), node("null", "w"), node("Convolution", "c", (0, 1), kernel="(3, 3)"), node("null", "g")]
    normed = [*nodes, node("BatchNorm", "n", (2, 3))]
    shapes = {"x": (1, 8, 4, 4), "w": (16, 8, 3, 3), "g": (16,), "c_output": (1, 16, 4, 4), "n_output": (1, 16, 4, 4)}
    assert need(nodes[:3], shapes).folding == 0
    assert need(normed, shapes).folding == need(normed, shapes).copies == 4 * 16 * 8 * 9


def test_a_transposed_convolution_holds_its_output_twice() -> None:
    """MXNet's transposed convolution keeps two blocks of its output's size between passes."""
    nodes = [node("null", "x"), node("null", "w"), node("Deconvolution", "d", (0, 1), kernel="(2, 2)")]
    found = need(nodes, {"x": (1, 16, 4, 4), "w": (16, 8, 2, 2), "d_output": (1, 8, 8, 8)})
    assert found.scratch == 2 * 4 * 8 * 64


def test_a_recurrent_layer_keeps_its_weights_in_two_more_orders() -> None:
    """And the gates of every step and row: four of an LSTM, three of a GRU."""
    nodes = [node("null", "x"), node("null", "w"), node("RNN", "r", (0, 1), mode="lstm", state_size=32)]
    shapes = {"x": (10, 2, 8), "w": (5000,), "r_output": (10, 2, 32)}
    found = need(nodes, shapes)
    assert (found.copies, found.scratch) == (2 * 4 * 5000, 4 * 4 * 32 * 10 * 2)
    nodes[2] = node("RNN", "r", (0, 1), mode="gru", state_size=32)
    assert need(nodes, shapes).scratch == 4 * 3 * 32 * 10 * 2


def test_weights_that_a_graph_puts_together_count() -> None:
    """A recurrent layer's weights come out of a node that joins them, and have their size all the same."""
    nodes = [node("null", "x"), node("null", "a"), node("Concat", "w", (1,)), node("FullyConnected", "f", (0, 2))]
    assert need(nodes, {"x": (1, 8), "a": (4, 8), "w_output": (4, 8), "f_output": (1, 4)}).copies == 4 * 32


def test_attributes_of_old_symbols_count() -> None:
    """Symbols before MXNet 1.0 have them under `param`."""
    old = {"op": "Convolution", "name": "c", "inputs": [[0, 0], [1, 0]], "param": {"kernel": "(1,1)"}}
    found = need([node("null", "x"), node("null", "w"), old], {"x": (1, 8, 4, 4), "w": (16, 8, 1, 1)})
    assert (found.copies, found.rearranged) == (4 * 16 * 8, 4 * 8 * 16)


def test_the_floor_is_the_file_and_a_little() -> None:
    """What is refused without MXNet has no chance: less than the parameters themselves."""
    assert 0 < estimate.floor(10 * MIB) - 10 * MIB < 10 * MIB


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 16])
def test_the_estimate_covers_what_a_process_takes(tmp_path: Path, batch: int) -> None:
    """A network that no constant was fitted to takes at most what is estimated, and not much less."""
    row = pictures(tmp_path)
    found = measured.candidate(tmp_path, batch, {"": (batch, *row)})
    guess = measured.estimate(found)
    assert guess is not None
    total, parts = guess
    need = measured.measure(found, measured.Setting(passes=3))
    assert need.peak <= total <= 1.35 * need.peak, (total / MIB, need.peak / MIB, {k: v / MIB for k, v in parts.items()})
