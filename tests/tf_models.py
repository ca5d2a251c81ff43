"""SavedModels of every kind, written with TensorFlow itself: `python tests/tf_models.py FOLDER`, in a process of its own.

Tests ask `models()` for the folder; it is built once below build/, and again when this file or TensorFlow changes.

half_plus_three  TF1, versions 00000123 and 00000124, variables and assets; x/2 + 3 as predict, classify and regress (over
                 tf.Example, the feature x), beside a hidden version folder and one that is no number
half             TF2, x (rows, 64) float32 -> y = x/2 + 2                frozen    the same, TF1 without variables
add              versions 1, 2 and 0003: x (rows) -> y = x + the version
pair             a (rows, 2) float32, b (rows, 2) int32 -> sum, product; signature `total`: the same -> scalar total
strings          text (rows) -> upper, length, echo_bytes                table     word (rows) -> id, by a vocabulary asset
dtypes           a signature for each dtype, named for it: x (any size) -> y, the same
unknown          x of any rank -> y = 2x, rank                           counter   amount () -> total of all calls so far
memory           keep: x (any size) -> size; recall: nothing -> what was kept last; keep_text and recall_text likewise
faults           `invalid`, `missing`, `internal`: x (rows) -> a pass that fails with this status of TensorFlow's
warm             half, with assets.extra/tf_serving_warmup_requests: a predict, a regress and a classify request
unknown_op       half, with an op that no TensorFlow has                 tags      half, under the tags `serve` and `gpu` alone
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "tf-models"

DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "bfloat16", "float32"),
    *("float64", "complex64", "complex128", "string", "float8_e5m2", "float8_e4m3fn", "int4", "uint4"),
)
"""The signatures of the model `dtypes`, by TensorFlow's names (half is float16)."""


@functools.cache
def copied(folder: Path, *names: str) -> Path:
    """The folder, with copies of these models in it: a model directory of several."""
    for name in names:
        shutil.copytree(models() / name, folder / name)
    return folder


def models() -> Path:
    """The folder that holds all of these models, NAME/VERSION each; built where it is not there yet. Nobody may write to it."""
    stamp = hashlib.sha256(Path(__file__).read_bytes() + importlib.metadata.version("tensorflow-cpu").encode()).hexdigest()[:16]
    folder = BUILD / stamp
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            made = tempfile.mkdtemp(dir=BUILD)
            done = subprocess.run([sys.executable, __file__, made], capture_output=True, text=True, check=False, cwd=ROOT)
            assert done.returncode == 0, done.stderr[-4000:]
            os.chmod(made, 0o755)
            os.rename(made, folder)
    return folder


def main(folder: Path) -> None:
    """Write all models below the folder."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    _half_plus_three(tf, folder / "half_plus_three")
    for make in (_half, _add, _pair, _strings, _table, _dtypes, _unknown, _counter, _memory, _faults):
        make(tf, folder / make.__name__.removeprefix("_"))
    _frozen(tf, folder / "frozen" / "1")
    _warm(tf, folder)
    _unknown_op(folder)
    _tags(folder)


def _save(tf: Any, folder: Path, module: Any, **signatures: Any) -> None:
    """One version of a TF2 module; a signature is a function with its input specs in its order."""
    functions = {name: tf.function(function).get_concrete_function(**specs) for name, (function, specs) in signatures.items()}
    tf.saved_model.save(module, str(folder), signatures=functions)


def _spec(tf: Any, name: str, shape: Any, dtype: Any = "float32") -> Any:
    return tf.TensorSpec(shape, getattr(tf, dtype), name=name)


def _half_plus_three(tf: Any, folder: Path) -> None:
    asset = folder.parent / "foo.txt"
    asset.write_text("an asset\n")
    for version in ("00000123", "00000124"):
        _half_plus_three_version(tf.compat.v1, folder / version, asset)
    asset.unlink()
    (folder / ".00000111").mkdir()
    (folder / ".00000111/.hidden_file").touch()
    (folder / "notes").mkdir()
    shutil.copy(folder / "00000123/saved_model.pb", folder / "notes")


def _half_plus_three_version(v1: Any, folder: Path, asset: Path) -> None:
    """The example of TF Serving's own tests, with its signatures and those of AWS's container tests."""
    with v1.Graph().as_default(), v1.Session() as session:
        a, b, c = (v1.Variable(value, name=name, use_resource=False) for value, name in ((0.5, "a"), (3.0, "b"), (4.0, "c")))
        serialized = v1.placeholder("string", [None], "tf_example")
        features = {"x": v1.FixedLenFeature([1], "float32"), "x2": v1.FixedLenFeature([1], "float32", [0.0])}
        example = v1.parse_example(serialized, features)
        x = v1.identity(example["x"], name="x")
        y = v1.add(v1.multiply(a, x), b, name="y")
        y2 = v1.add(v1.multiply(a, x), c, name="y2")
        y3 = v1.add(v1.multiply(a, example["x2"]), c, name="y3")
        classes = v1.tile(v1.constant([["only"]]), [v1.shape(x)[0], 1], name="classes")
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, v1.constant(str(asset)))
        session.run(v1.global_variables_initializer())
        regress = {"inputs": serialized}, {"outputs": y}, "regress"
        signatures = {
            "serving_default": ({"x": x}, {"y": y}, "predict"),
            "tensorflow/serving/regress": regress,
            "tensorflow/serving/classify": ({"inputs": serialized}, {"scores": y, "classes": classes}, "classify"),
            "regress_x_to_y": regress,
            "regress_x_to_y2": ({"inputs": serialized}, {"outputs": y2}, "regress"),
            "regress_x2_to_y3": ({"inputs": serialized}, {"outputs": y3}, "regress"),
            "classify_x_to_y": ({"inputs": serialized}, {"scores": y}, "classify"),
        }
        _save_v1(v1, session, folder, signatures, assets=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS))


def _save_v1(v1: Any, session: Any, folder: Path, signatures: dict[str, Any], assets: Any = None) -> None:
    def info(tensors: dict[str, Any]) -> dict[str, Any]:
        return {key: v1.saved_model.build_tensor_info(tensor) for key, tensor in tensors.items()}

    builder = v1.saved_model.Builder(str(folder))
    definitions = {
        name: v1.saved_model.build_signature_def(info(inputs), info(outputs), f"tensorflow/serving/{method}")
        for name, (inputs, outputs, method) in signatures.items()
    }
    builder.add_meta_graph_and_variables(session, ["serve"], definitions, assets_collection=assets, strip_default_attrs=True)
    builder.save()


def _half(tf: Any, folder: Path) -> None:
    module = tf.Module()
    module.scale, module.shift = tf.Variable(0.5), tf.Variable(2.0)
    function = (lambda x: {"y": module.scale * x + module.shift}), {"x": _spec(tf, "x", [None, 64])}
    _save(tf, folder / "1", module, serving_default=function)


def _frozen(tf: Any, folder: Path) -> None:
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder("float32", [None, 64], "x")
        _save_v1(v1, session, folder, {"serving_default": ({"x": x}, {"y": v1.add(x * 0.5, 2.0, name="y")}, "predict")})


def _add(tf: Any, folder: Path) -> None:
    for version in ("1", "2", "0003"):
        _add_version(tf, folder / version)


def _add_version(tf: Any, folder: Path) -> None:
    module = tf.Module()
    module.by = tf.Variable(float(folder.name))
    _save(tf, folder, module, serving_default=((lambda x: {"y": x + module.by}), {"x": _spec(tf, "x", [None])}))


def _pair(tf: Any, folder: Path) -> None:
    specs = {"a": _spec(tf, "a", [None, 2]), "b": _spec(tf, "b", [None, 2], "int32")}

    def both(a: Any, b: Any) -> Any:
        return {"sum": a + tf.cast(b, tf.float32), "product": a * tf.cast(b, tf.float32)}

    def total(a: Any, b: Any) -> Any:
        return {"total": tf.reduce_sum(a) + tf.cast(tf.reduce_sum(b), tf.float32)}

    _save(tf, folder / "1", tf.Module(), serving_default=(both, specs), total=(total, specs))


def _strings(tf: Any, folder: Path) -> None:
    def function(text: Any) -> Any:
        upper = tf.strings.upper(text)
        return {"upper": upper, "length": tf.strings.length(text), "echo_bytes": tf.identity(text)}

    _save(tf, folder / "1", tf.Module(), serving_default=(function, {"text": _spec(tf, "text", [None], "string")}))


def _table(tf: Any, folder: Path) -> None:
    vocabulary = folder.parent / "vocabulary.txt"
    vocabulary.write_text("zero\none\ntwo\n")
    values = tf.lookup.TextFileInitializer(
        str(vocabulary), "string", tf.lookup.TextFileIndex.WHOLE_LINE, "int64", tf.lookup.TextFileIndex.LINE_NUMBER
    )
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(values, -1)
    function = (lambda word: {"id": module.table.lookup(word)}), {"word": _spec(tf, "word", [None], "string")}
    _save(tf, folder / "1", module, serving_default=function)
    vocabulary.unlink()


def _dtypes(tf: Any, folder: Path) -> None:
    """TF1: a TF2 signature has no kernel for some of these to pass a function's border."""
    import numpy as np

    v1 = tf.compat.v1
    experimental = tf.dtypes.experimental
    with v1.Graph().as_default(), v1.Session() as session:
        signatures = {}
        for name in DTYPES:
            dtype = getattr(tf, name, None) or getattr(experimental, name)
            x = v1.placeholder(dtype, [None], f"{name}_x")
            signatures[name] = ({"x": x}, {"y": v1.identity(x, f"{name}_y")}, "predict")
        quantized = v1.placeholder(tf.qint8, [None], "quantized")
        signatures["qint8"] = ({"x": quantized}, {"y": v1.identity(quantized)}, "predict")
        handle = v1.placeholder(tf.resource, [], "handle")
        signatures["resource"] = ({"x": handle}, {"y": v1.constant(np.float32(1))}, "predict")
        _save_v1(v1, session, folder / "1", signatures)


def _unknown(tf: Any, folder: Path) -> None:
    function = (lambda x: {"y": 2 * x, "rank": tf.rank(x)}), {"x": _spec(tf, "x", None)}
    _save(tf, folder / "1", tf.Module(), serving_default=function)


def _counter(tf: Any, folder: Path) -> None:
    module = tf.Module()
    module.total = tf.Variable(0.0)
    function = (lambda amount: {"total": module.total.assign_add(amount)}), {"amount": _spec(tf, "amount", [])}
    _save(tf, folder / "1", module, serving_default=function)


def _memory(tf: Any, folder: Path) -> None:
    module = tf.Module()
    module.numbers = tf.Variable([0.0], shape=[None])
    module.text = tf.Variable([""], shape=[None])

    def keep(variable: Any) -> Any:
        return lambda x: {"size": tf.size(variable.assign(x))}

    _save(
        tf,
        folder / "1",
        module,
        keep=(keep(module.numbers), {"x": _spec(tf, "x", [None])}),
        recall=(lambda: {"y": module.numbers.read_value()}, {}),
        keep_text=(keep(module.text), {"x": _spec(tf, "x", [None], "string")}),
        recall_text=(lambda: {"y": module.text.read_value()}, {}),
    )


def _faults(tf: Any, folder: Path) -> None:
    def invalid(x: Any) -> Any:
        return {"y": tf.reshape(x, [7])}

    def missing(x: Any) -> Any:
        name = tf.strings.join(["/no/such/file/", tf.strings.as_string(tf.size(x))])
        return {"y": tf.strings.length(tf.io.read_file(name))}

    def internal(x: Any) -> Any:
        data = tf.io.decode_raw(tf.io.decode_compressed(tf.strings.as_string(x), "GZIP"), tf.uint8)
        return {"y": tf.size(data)}

    specs = {"x": _spec(tf, "x", [None])}
    _save(tf, folder / "1", tf.Module(), invalid=(invalid, specs), missing=(missing, specs), internal=(internal, specs))


def _warm(tf: Any, folder: Path) -> None:
    from tensorflow_serving.apis import prediction_log_pb2 as log

    shutil.copytree(folder / "half", folder / "warm")
    extra = folder / "warm/1/assets.extra"
    extra.mkdir()
    predict, regress, classify = log.PredictionLog(), log.PredictionLog(), log.PredictionLog()
    request = predict.predict_log.request
    request.model_spec.name = "warm"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([[2.0] * 64]))
    example = tf.train.Example(features=tf.train.Features(feature={"x": _feature(tf, 2.0)}))
    for entry in (regress.regress_log.request, classify.classify_log.request):
        entry.model_spec.name = "warm"
        entry.input.example_list.examples.append(example)
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        for entry in (predict, regress, classify):
            writer.write(entry.SerializeToString())


def _feature(tf: Any, value: float) -> Any:
    return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))


def _unknown_op(folder: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    shutil.copytree(folder / "half", folder / "unknown_op")
    path = folder / "unknown_op/1/saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    graph = model.meta_graphs[0].graph_def
    graph.node.add(name="strange", op="OpFromTheFuture")
    path.write_bytes(model.SerializeToString())


def _tags(folder: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    shutil.copytree(folder / "half", folder / "tags")
    path = folder / "tags/1/saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    model.meta_graphs[0].meta_info_def.tags.append("gpu")
    path.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
