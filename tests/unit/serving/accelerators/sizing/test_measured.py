"""A model measured in a process of its own, and what is said where it cannot be."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.sizing import measured
from serving.accelerators.sizing.measured import Setting
from serving.errors import ModelError
from tests.unit.serving.accelerators.sizing import networks


def test_shapes_come_from_the_model(tmp_path: Path) -> None:
    """Where the graph fixes all sizes but the rows, `batch` is what is missing."""
    networks.small(tmp_path)
    assert measured.candidate(tmp_path, 5).shapes == {"data": (5, 8)}


def test_an_archive_is_taken(tmp_path: Path) -> None:
    """model.tar.gz is unpacked first; the artifact is the same as the directory's."""
    folder = tmp_path / "model"
    folder.mkdir()
    networks.small(folder)
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
        for path in folder.iterdir():
            tar.add(path, path.name)
    found = measured.candidate(tmp_path / "model.tar.gz", folder=tmp_path / "unpacked")
    assert found.artifact.name == measured.candidate(folder).artifact.name


def test_open_sizes_are_asked_for(tmp_path: Path) -> None:
    """A graph over pictures of any size is not guessed at; the message says what to type."""
    networks.pictures(tmp_path)
    with pytest.raises(ModelError, match="--shape data="):
        measured.candidate(tmp_path)


def test_inputs_that_are_none_are_refused(tmp_path: Path) -> None:
    """A shape for a name that the model does not have."""
    networks.small(tmp_path)
    with pytest.raises(ModelError, match="no input"):
        measured.candidate(tmp_path, 1, {"nothing": (1, 8)})


def test_an_onnx_file_points_to_convert(tmp_path: Path) -> None:
    """It is converted first; the message has the command."""
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match="ei convert"):
        measured.candidate(tmp_path / "m.onnx")


def test_a_script_without_a_graph_is_refused(tmp_path: Path) -> None:
    """What only a user's script can load cannot be sized by its files."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text("def model_fn(model_dir): ...")
    with pytest.raises(ModelError, match="script"):
        measured.candidate(tmp_path)


@pytest.mark.slow
def test_a_measurement_has_bytes_and_seconds(tmp_path: Path) -> None:
    """A product's weights are there twice at least once it has run: the engine's, and oneDNN's."""
    chain = networks.Chain().then("FullyConnected", (2048, 2048), num_hidden=2048, no_bias=True)
    networks.write(tmp_path, chain.nodes, chain.weights)
    found = measured.measure(measured.candidate(tmp_path), Setting(passes=4))
    assert found.need >= found.peak > 2 * 4 * 2048 * 2048
    assert found.passes == 4
    assert found.seconds > 0
    assert found.shapes == {"data": (1, 2048)}


@pytest.mark.slow
def test_a_limit_that_is_too_small_is_an_error(tmp_path: Path) -> None:
    """Within 8 MiB a model of 16 does not load: out of memory is what is said, and the caller goes on."""
    chain = networks.Chain().then("FullyConnected", (2048, 2048), num_hidden=2048, no_bias=True)
    networks.write(tmp_path, chain.nodes, chain.weights)
    with pytest.raises(AcceleratorError) as caught:
        measured.measure(measured.candidate(tmp_path), Setting(limit=8 << 20))
    assert caught.value.code == Code.RESOURCE_EXHAUSTED
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_shape_that_the_model_does_not_take_is_an_error(tmp_path: Path) -> None:
    """Both ways of finding out say so in one line."""
    networks.small(tmp_path)
    found = measured.candidate(tmp_path, 1, {"data": (1, 9)})
    for ask in (measured.estimate, measured.measure):
        with pytest.raises(AcceleratorError) as caught:
            ask(found)
        assert caught.value.code == Code.INVALID_ARGUMENT
        assert "\n" not in str(caught.value)
