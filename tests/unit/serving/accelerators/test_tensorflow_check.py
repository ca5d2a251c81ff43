"""An upload is data: a graph that would do more than compute is refused by what it says, and is never run to find out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.accelerators.artifact import SAVED_MODEL
from serving.accelerators.engines import tensorflow as engine
from serving.accelerators.engines import tensorflow_check
from serving.accelerators.engines.base import Config
from serving.accelerators.errors import AcceleratorError, Code
from serving.backends import tensorflow
from serving.errors import ModelError
from tests import tf_models
from tests.unit.serving.accelerators.tensorflow_graphs import (
    RESOURCE,
    STRING,
    asset,
    constant,
    doubling,
    first_step,
    function,
    node,
    write,
)

Spoil = Callable[[Any, Path], None]


def _writes(graph: Any, target: Path, name: str = "write") -> None:
    """Nodes that write a file."""
    constant(graph, "filename", str(target))
    constant(graph, "contents", "written")
    inputs = ["filename", "contents"] if hasattr(graph, "node") else ["filename:output:0", "contents:output:0"]
    node(graph, name, "WriteFile", inputs)


def _in_the_first_step(meta: Any, target: Path) -> None:
    _writes(meta.graph_def, target)
    first_step(meta, "write")


def _in_a_signature(meta: Any, target: Path) -> None:
    _writes(meta.graph_def, target)
    next(one for one in meta.graph_def.node if one.name == "y").input.append("^write")


def _in_a_function(meta: Any, target: Path) -> None:
    one = function(meta.graph_def, "inner")
    _writes(one, target)
    call = node(meta.graph_def, "call", "StatefulPartitionedCall", f="function:inner")
    for key in ("Tin", "Tout"):
        call.attr[key].list.SetInParent()
    first_step(meta, "call")


def _in_a_function_by_name(meta: Any, target: Path) -> None:
    _writes(function(meta.graph_def, "inner"), target)
    node(meta.graph_def, "call", "inner")
    first_step(meta, "call")


RUNS = [_in_the_first_step, _in_a_signature, _in_a_function, _in_a_function_by_name]


@pytest.mark.parametrize("spoil", RUNS, ids=lambda spoil: spoil.__name__.strip("_"))
def test_a_model_that_writes_is_refused_unrun(tmp_path: Path, spoil: Spoil) -> None:
    """A SavedModel that writes a file when it is loaded or run elsewhere is refused here, and the file is not there."""
    target, meta = tmp_path / "written.txt", doubling()
    spoil(meta, target)
    folder = write(tmp_path / "model" / SAVED_MODEL, meta)
    with pytest.raises(AcceleratorError, match="it uses WriteFile") as caught:
        engine.load(Config(tmp_path / "model"))
    assert caught.value.code == Code.INVALID_ARGUMENT
    assert not target.exists()
    local = tensorflow.load(folder)  # the proof that it is no harmless model
    local.run("serving_default", {"x": np.zeros(1, "float32")})
    assert target.read_text() == "written"


def test_a_function_that_may_be_swapped_in(tmp_path: Path) -> None:
    """A function that TensorFlow's optimiser may put in another's place counts, though nothing calls it."""
    meta = doubling()
    one = function(meta.graph_def, "other")
    one.attr["api_implements"].s = b"double"
    _writes(one, tmp_path / "written.txt")
    with pytest.raises(AcceleratorError, match="it uses WriteFile"):
        tensorflow_check.check_meta_graph(meta)


@pytest.mark.parametrize(
    "op", ["PyFunc", "EagerPyFunc", "PyFuncStateless", "ReadFile", "MatchingFiles", "SaveV2", "TFRecordDatasetV2", "_Recv",
           "RpcCall", "Abort", "XlaCallModule", "ImmutableConst", "DecodeProtoV2", "DebugIdentity", "PrintV2", "MyOwnOp", "RestoreV2"]
)  # fmt: skip
def test_operations_that_do_more_than_compute(op: str) -> None:
    """Operations that call code, touch files or the network, or are nobody's, are refused by name where a signature needs them."""
    meta = doubling()
    node(meta.graph_def, "step", op)
    tensorflow_check.check_meta_graph(meta)  # nothing leads there
    next(one for one in meta.graph_def.node if one.name == "y").input.append("^step")
    with pytest.raises(AcceleratorError, match=f"it uses {op}:"):
        tensorflow_check.check_meta_graph(meta)


def test_what_a_signature_does_not_lead_to_is_asked_for_by_name() -> None:
    """Tensors that an artifact names itself are looked at like a signature's."""
    meta = doubling()
    node(meta.graph_def, "save/path", "SaveV2")
    with pytest.raises(AcceleratorError, match="SaveV2"):
        tensorflow_check.check_graph(meta.graph_def, ["x:0", "save/path:0"])


# ---- the two operations that may read a file


def _table(meta: Any, filename: str) -> None:
    node(meta.graph_def, "table", "HashTableV2", key_dtype=STRING, value_dtype=9)
    node(meta.graph_def, "fill", "InitializeTableFromTextFileV2", ["table", filename])
    first_step(meta, "fill")


def test_a_table_of_the_models_own_asset() -> None:
    """A table may be filled from a file that the loader names: directly, by an argument, or by a variable."""
    meta = doubling()
    constant(meta.graph_def, "path", "")
    asset(meta, "path", "words.txt")
    _table(meta, "path")
    tensorflow_check.check_meta_graph(meta)


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "a/../../b"])
def test_an_asset_elsewhere(name: str) -> None:
    """An asset lies in the model's folder."""
    meta = doubling()
    constant(meta.graph_def, "path", "")
    asset(meta, "path", name)
    with pytest.raises(AcceleratorError, match="outside"):
        tensorflow_check.check_meta_graph(meta)


def _other_constant(meta: Any) -> str:
    constant(meta.graph_def, "own", "/etc/passwd")
    return "own"


def _variable_with_two_values(meta: Any) -> str:
    constant(meta.graph_def, "own", "/etc/passwd")
    node(meta.graph_def, "held", "VarHandleOp", dtype=STRING)
    node(meta.graph_def, "set", "AssignVariableOp", ["held", "path"], dtype=STRING)
    node(meta.graph_def, "again", "AssignVariableOp", ["held", "own", "^set"], dtype=STRING)
    node(meta.graph_def, "read", "ReadVariableOp", ["held", "^again"], dtype=STRING)
    return "read"


def _variable_of_two_names(meta: Any) -> str:
    constant(meta.graph_def, "own", "/etc/passwd")
    for name in ("held", "alias"):
        node(meta.graph_def, name, "VarHandleOp", dtype=STRING, shared_name="same")
    node(meta.graph_def, "set", "AssignVariableOp", ["held", "path"], dtype=STRING)
    node(meta.graph_def, "again", "AssignVariableOp", ["alias", "own", "^set"], dtype=STRING)
    node(meta.graph_def, "read", "ReadVariableOp", ["held", "^again"], dtype=STRING)
    return "read"


def _computed(meta: Any) -> str:
    node(meta.graph_def, "joined", "StringJoin", ["path", "path"])
    return "joined"


@pytest.mark.parametrize(
    "source",
    [_other_constant, _variable_with_two_values, _variable_of_two_names, _computed],
    ids=lambda s: s.__name__.strip("_"),
)
def test_a_table_of_another_file(source: Callable[[Any], str]) -> None:
    """A table is not filled from a file that the graph names, however the name gets there."""
    meta = doubling()
    constant(meta.graph_def, "path", "")
    asset(meta, "path", "words.txt")
    _table(meta, source(meta))
    with pytest.raises(AcceleratorError, match="reads a file that is not the model's own"):
        tensorflow_check.check_meta_graph(meta)


def test_a_table_that_a_pass_fills() -> None:
    """In a pass nobody feeds the names of assets, so a signature may not fill a table from one."""
    meta = doubling()
    constant(meta.graph_def, "path", "/etc/passwd")
    asset(meta, "path", "words.txt")
    _table(meta, "path")
    next(one for one in meta.graph_def.node if one.name == "y").input.append("^fill")
    with pytest.raises(AcceleratorError, match="it uses InitializeTableFromTextFileV2"):
        tensorflow_check.check_meta_graph(meta)


def test_another_models_variables() -> None:
    """Variables are restored from the model's own checkpoint alone."""
    meta = doubling()
    constant(meta.graph_def, "filename", "")
    constant(meta.graph_def, "own", "/models/other/variables/variables")
    restore = node(meta.graph_def, "restore", "RestoreV2", ["filename", "names", "slices"])
    node(meta.graph_def, "w", "VarHandleOp", dtype=RESOURCE)
    node(meta.graph_def, "restore_all", "NoOp", ["^restore"])
    meta.saver_def.filename_tensor_name, meta.saver_def.restore_op_name = "filename:0", "restore_all"
    tensorflow_check.check_meta_graph(meta)
    restore.input[0] = "own"
    with pytest.raises(AcceleratorError, match="its RestoreV2 'restore' reads a file"):
        tensorflow_check.check_meta_graph(meta)


# ---- whole uploads


@pytest.mark.parametrize(
    "name",
    ["saved_model.cpb", "saved_model.pbtxt", "variables/other.index", "custom.so", "assets", "variables/variables.data-1-of-1"],
)
def test_files_of_other_names(tmp_path: Path, name: str) -> None:
    """What TensorFlow might read in place of what was checked is not let in."""
    folder = write(tmp_path / SAVED_MODEL, doubling())
    (folder / "variables").mkdir()
    (folder / name).write_bytes(b"")
    with pytest.raises(AcceleratorError, match="is no file of a SavedModel"):
        engine.check(Config(tmp_path))


def test_a_link(tmp_path: Path) -> None:
    """A link among the files is refused: it may lead anywhere."""
    folder = write(tmp_path / SAVED_MODEL, doubling())
    (folder / "assets").symlink_to("/etc")
    with pytest.raises(AcceleratorError, match="link"):
        engine.check(Config(tmp_path))


@pytest.mark.parametrize("content", [b"", b"no protobuf", b"\x08\x01"])
def test_no_model(tmp_path: Path, content: bytes) -> None:
    """Bytes that are no SavedModel, or one without the graph that is asked for, are INVALID_ARGUMENT."""
    folder = tmp_path / SAVED_MODEL
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(content)
    with pytest.raises(AcceleratorError) as caught:
        engine.load(Config(tmp_path))
    assert caught.value.code == Code.INVALID_ARGUMENT
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "name", ["half_plus_three", "half", "table", "pair", "dtypes", "memory", "counter", "strings", "frozen"]
)
def test_models_that_compute(name: str) -> None:
    """What TensorFlow itself exports, its saver and its tables included, passes."""
    for path in (tf_models.models() / name).glob("[0-9]*/saved_model.pb"):
        from tensorflow.core.protobuf import saved_model_pb2

        for meta in saved_model_pb2.SavedModel.FromString(path.read_bytes()).meta_graphs:
            tensorflow_check.check_meta_graph(meta)


def test_the_list_names_operations_that_there_are(tmp_path: Path) -> None:
    """Each operation on the list is one of this TensorFlow's, or had better not be trusted under that name."""
    import ctypes

    from tensorflow.core.framework import op_def_pb2

    from serving.backends import tensorflow_import
    from serving.backends.tf_library import Buffer

    opened = tensorflow_import.library()
    opened.TF_GetAllOpList.restype = ctypes.POINTER(Buffer)
    held = opened.TF_GetAllOpList().contents
    operations = {op.name for op in op_def_pb2.OpList.FromString(ctypes.string_at(held.data, held.length)).op}
    assert tensorflow_check.listed() <= operations
    assert not [
        op
        for op in tensorflow_check.listed()
        if op.startswith(("_", "Xla", "Save", "Read")) and op != "ReadVariableOp" or "Dataset" in op
    ]


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    """Variables that are cut off are INVALID_ARGUMENT in one line, without the path of this machine."""
    import shutil

    shutil.copytree(tf_models.models() / "half" / "1", tmp_path / SAVED_MODEL)
    data = next((tmp_path / SAVED_MODEL / "variables").glob("*data*"))
    data.write_bytes(data.read_bytes()[:3])
    with pytest.raises(AcceleratorError) as caught:
        engine.load(Config(tmp_path))
    assert (caught.value.code, str(tmp_path) in caught.value.message) == (Code.INVALID_ARGUMENT, False)
    with pytest.raises(ModelError):
        tensorflow.load(tmp_path / SAVED_MODEL)
