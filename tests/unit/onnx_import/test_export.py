"""An MXNet artifact becomes ONNX: proved, named, open where it can be, or nothing is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnx_import import export
from onnx_import.errors import InvalidInput, UnsupportedModel, VerificationError
from onnx_import.exporting import build
from serving.backends.mxnet_import import import_mxnet

Saved = Callable[..., Path]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Saves a Gluon network as a model directory."""

    def save(net: Any, *shapes: tuple[int, ...], name_shapes: bool = False) -> Path:
        mx = import_mxnet()
        net.initialize(mx.init.Normal(0.3))
        net.hybridize()
        net(*(mx.nd.ones(shape) for shape in shapes))
        net.export(str(tmp_path / "model"))
        if name_shapes:
            names = [f"data{at}" for at in range(len(shapes))] if len(shapes) > 1 else ["data"]
            document = [{"name": name, "shape": list(shape)} for name, shape in zip(names, shapes, strict=True)]
            (tmp_path / "model-shapes.json").write_text(json.dumps(document))
        return tmp_path

    return save


def perceptron() -> Any:
    """Two dense layers."""
    nn = import_mxnet().gluon.nn
    net = nn.HybridSequential()
    net.add(nn.Dense(8, activation="relu", in_units=4), nn.Dense(3))
    return net


def dims(info: onnx.ValueInfoProto) -> list[Any]:
    """The declared dimensions of an input or output."""
    return [dim.dim_param or dim.dim_value or None for dim in info.type.tensor_type.shape.dim]


def test_a_perceptron_is_exported_with_an_open_batch(saved: Saved) -> None:
    """Weights are no inputs, the opset is stated, both batches are proved."""
    directory = saved(perceptron(), (1, 4))
    found = export.export(directory, directory / "out.onnx")
    model = onnx.load(directory / "out.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [info.name for info in model.graph.input] == ["data"]
    assert len(model.graph.initializer) == 4
    assert model.opset_import[0].version == 17
    assert dims(model.graph.input[0]) == ["batch", 4]
    assert dims(model.graph.output[0]) == ["batch", 3]
    assert [each.shape for each in found] == [(1, 3), (3, 3)]


@pytest.mark.parametrize("opset", [13, 15, 18, onnx.defs.onnx_opset_version()])
def test_any_opset_from_13_on_can_be_asked_for(saved: Saved, opset: int) -> None:
    """It is written, with an IR version of its time."""
    directory = saved(perceptron(), (1, 4))
    export.export(directory, directory / "out.onnx", opset=opset)
    assert onnx.load(directory / "out.onnx").opset_import[0].version == opset


@pytest.mark.parametrize("opset", [12, 1000])
def test_other_opsets_are_refused(saved: Saved, opset: int) -> None:
    """The range is said."""
    directory = saved(perceptron(), (1, 4))
    with pytest.raises(InvalidInput, match="from 13 to"):
        export.export(directory, directory / "out.onnx", opset=opset)


def test_a_folder_is_no_file_to_write(saved: Saved) -> None:
    """Said before any work."""
    directory = saved(perceptron(), (1, 4))
    with pytest.raises(InvalidInput, match="is a folder"):
        export.export(directory, directory)


def test_pictures_of_any_size_stay_open_where_the_network_takes_them(saved: Saved) -> None:
    """A global pooling leaves no trace of the size."""
    nn = import_mxnet().gluon.nn
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3, in_channels=3), nn.BatchNorm(), nn.Activation("relu"), nn.GlobalAvgPool2D(), nn.Dense(2))
    directory = saved(net, (1, 3, 16, 16))
    export.export(directory, directory / "out.onnx")
    assert dims(onnx.load(directory / "out.onnx").graph.input[0]) == ["batch", 3, None, None]


def test_a_dense_layer_closes_the_size_of_pictures(saved: Saved) -> None:
    """The batch stays open."""
    nn = import_mxnet().gluon.nn
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3, in_channels=3), nn.Dense(2))
    directory = saved(net, (1, 3, 16, 16))
    export.export(directory, directory / "out.onnx")
    assert dims(onnx.load(directory / "out.onnx").graph.input[0]) == ["batch", 3, 16, 16]


def test_a_network_with_states_keeps_the_sizes_of_its_file(saved: Saved) -> None:
    """Rows lie in the second axis: the first is the number of layers."""
    mx = import_mxnet()

    class Stateful(mx.gluon.HybridBlock):  # type: ignore[misc,name-defined]
        """An LSTM that takes and gives its states."""

        def __init__(self) -> None:
            super().__init__()
            with self.name_scope():
                self.lstm = mx.gluon.rnn.LSTM(5, num_layers=2)

        def hybrid_forward(self, _: Any, x: Any, h: Any, c: Any) -> Any:
            """One pass."""
            y, (h1, c1) = self.lstm(x, [h, c])
            return y, h1, c1

    directory = saved(Stateful(), (7, 2, 4), (2, 2, 5), (2, 2, 5), name_shapes=True)
    found = export.export(directory, directory / "out.onnx")
    assert [each.shape for each in found] == [(7, 2, 5), (2, 2, 5), (2, 2, 5)]
    assert dims(onnx.load(directory / "out.onnx").graph.input[0]) == [7, 2, 4]


def test_a_label_is_no_input(tmp_path: Path) -> None:
    """What training alone reads is gone."""
    mx = import_mxnet()
    symbol = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc"), name="softmax")
    symbol.save(str(tmp_path / "model-symbol.json"))
    mx.nd.save(str(tmp_path / "model-0000.params"), {"arg:fc_weight": mx.nd.ones((2, 4)), "arg:fc_bias": mx.nd.ones((2,))})
    export.export(tmp_path, tmp_path / "out.onnx")
    assert [info.name for info in onnx.load(tmp_path / "out.onnx").graph.input] == ["data"]


def test_wrong_answers_leave_no_file(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """A converter that lies is found out."""
    monkeypatch.setitem(build._CONVERTERS, "Activation", lambda use: use.emit("Abs", use.inputs[0]))
    directory = saved(perceptron(), (1, 4))
    with pytest.raises(VerificationError, match="MXNet does not answer as the exported ONNX model does"):
        export.export(directory, directory / "out.onnx")
    assert not list(directory.glob("*.onnx*"))
    assert not list(directory.glob(".*"))


def test_everything_that_cannot_be_written_is_in_one_error(saved: Saved) -> None:
    """Nodes by name."""
    mx = import_mxnet()
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Dense(3, in_units=4), mx.gluon.nn.HybridLambda("cbrt"), mx.gluon.nn.HybridLambda("gamma"))
    directory = saved(net, (1, 4))
    with pytest.raises(UnsupportedModel) as caught:
        export.export(directory, directory / "out.onnx")
    assert [problem.op for problem in caught.value.problems] == ["cbrt", "gamma"]
    assert not list(directory.glob("*.onnx"))


def test_outputs_that_are_inputs_constants_or_twice_the_same_have_names() -> None:
    """Each output is a value of its own."""
    mx = import_mxnet()
    x, w = mx.sym.Variable("x"), mx.sym.Variable("w")
    text = mx.sym.Group([x, w, x + w, x + w * 1]).tojson()
    params = {"w": np.ones((2, 3), np.float32)}
    model = export.to_model(text, params, {"x": (2, 3)}, form=export.Form(leave_open="nothing"))
    assert len({info.name for info in model.graph.output}) == 4
    assert all(each.ok for each in export.prove(model, text, params))


def test_numpy_and_mxnet_arrays_are_taken_under_plain_or_full_names() -> None:
    """`arg:` and `aux:` are MXNet's; the model is the same."""
    mx = import_mxnet()
    text = mx.sym.broadcast_add(mx.sym.Variable("x"), mx.sym.Variable("w")).tojson()
    weight = np.arange(3, dtype=np.float32)
    models = [export.to_model(text, params, {"x": (1, 3)}) for params in ({"w": weight}, {"arg:w": mx.nd.array(weight)})]
    assert models[0] == models[1]


def test_a_converted_models_outputs_get_their_names_back(tmp_path: Path) -> None:
    """Even where a node inside has such a name."""
    mx = import_mxnet()
    inner = mx.sym.exp(mx.sym.Variable("x"), name="y")
    mx.sym.negative(inner, name="z").save(str(tmp_path / "model-symbol.json"))
    mx.nd.save(str(tmp_path / "model-0000.params"), {"arg:unused": mx.nd.ones((1,))})
    inputs = [{"name": "x", "kind": "tensor", "dtype": "float32", "shape": ["n", 4]}]
    report = {"portable": True, "heads": [0], "inputs": inputs, "outputs": [{"name": "y"}]}
    (tmp_path / "conversion.json").write_text(json.dumps(report))
    found = export.export(tmp_path, tmp_path / "out.onnx")
    model = onnx.load(tmp_path / "out.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [each.output for each in found] == ["y", "y"]
    assert dims(model.graph.input[0]) == ["n", 4]


def test_weights_of_two_gigabytes_lie_in_a_file_of_their_own(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond protobuf's limit, here made small."""
    monkeypatch.setattr(export, "LARGE", 100)
    directory = saved(import_mxnet().gluon.nn.Dense(300, in_units=4), (1, 4))
    for _ in range(2):
        export.export(directory, directory / "out.onnx")
    assert (directory / "out.onnx.data").stat().st_size == 6000
    assert onnx.load(directory / "out.onnx").graph.initializer[0].raw_data


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenet1.1", "mobilenet_v2_0.25", "resnet18_v1", "densenet121"])
def test_the_model_zoo_is_exported(saved: Saved, name: str) -> None:
    """Random weights, pictures of a usual size."""
    from mxnet.gluon.model_zoo import vision

    directory = saved(vision.get_model(name.replace("_v2_", "v2_")), (1, 3, 224, 224))
    assert all(each.ok for each in export.export(directory, directory / "out.onnx"))
