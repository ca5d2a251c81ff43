"""TensorFlow without `import tensorflow`: its C library by dlopen, and its protobuf messages.

Importing the Python package takes seconds and hundreds of MB and starts threads; its library alone takes a fraction of one
second (benchmarks/tf_calls.py measures both). A user script may import the package all the same, before or after: it
gets the same library.

The fork rule: `library` starts no thread and makes no session, so a process may fork after it; a session belongs to the
process that made it. MXNet may be imported in the same process, before or after: both libraries give right answers,
since each is loaded with its names to itself.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType

from serving import settings
from serving.backends import tf_library
from serving.errors import StartError

log = logging.getLogger("ei.models")

VERSION = "2.21.0"
"""The version that this backend is tested with; another one is used too, and named in the log."""

LIBRARY = "libtensorflow_cc.so.2"
REMEDY = "install it (pip install tensorflow-cpu), or serve with the image that holds it"
REMARKS = (b"WARNING: All log messages before absl::InitializeLog", b"I0000 ")
MESSAGES = (
    "tensorflow.core.framework.tensor_pb2",
    "tensorflow.core.framework.tensor_shape_pb2",
    "tensorflow.core.framework.types_pb2",
    "tensorflow.core.example.example_pb2",
    "tensorflow.core.example.feature_pb2",
    "tensorflow.core.protobuf.config_pb2",
    "tensorflow.core.protobuf.meta_graph_pb2",
    "tensorflow.core.protobuf.saved_model_pb2",
    "tensorflow.core.protobuf.error_codes_pb2",
)
SERVING_MESSAGES = tuple(
    f"tensorflow_serving.apis.{name}_pb2"
    for name in ("predict", "classification", "regression", "get_model_metadata", "get_model_status", "prediction_log")
)


def protos() -> None:
    """Make `from tensorflow.core... import ..._pb2`, and those of `tensorflow_serving.apis`, work without `import tensorflow`.

    They hold the messages that are named above; a later `import tensorflow` of a user script is the real one.
    """
    if sys.modules.get("tensorflow") or MESSAGES[0] in sys.modules:
        return
    names = [*MESSAGES, *(SERVING_MESSAGES if importlib.util.find_spec("tensorflow_serving") else ())]
    stand_in = ModuleType("tensorflow")
    stand_in.__path__ = [str(_folder())]
    sys.modules["tensorflow"] = stand_in  # its messages are imported as a part of it
    try:
        for name in names:
            importlib.import_module(name)
    finally:
        del sys.modules["tensorflow"]


@cache
def library() -> ctypes.CDLL:
    """TensorFlow's C library, opened once, with the prototypes that are used here; no thread is started.

    StartError where the wheel is missing or its library cannot be opened.
    """
    path = _folder() / LIBRARY
    if _lacks_avx():
        raise StartError("this processor (or what a virtual machine shows of it) has no AVX, which TensorFlow's library needs")
    settings.put("TF_CPP_MIN_LOG_LEVEL", "2", keep=True)  # its remarks on every load
    try:
        with _unremarked():
            opened = ctypes.CDLL(str(path))
    except OSError as error:
        raise StartError(f"TensorFlow's library cannot be opened: {error}; {REMEDY}") from None
    tf_library.declare(opened)
    version = opened.TF_Version().decode()
    if version != VERSION:
        log.info("TensorFlow %s: this backend is tested with %s", version, VERSION)
    return opened


@contextmanager
def _unremarked() -> Iterator[None]:
    """Keep what the library remarks while it is opened, for which it has no setting, from stderr; other lines are passed on."""
    kept, stderr = os.memfd_create("stderr"), os.dup(2)
    os.dup2(kept, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        lines = os.pread(kept, os.fstat(kept).st_size, 0).splitlines(keepends=True)
        os.write(2, b"".join(line for line in lines if not line.startswith(REMARKS)))
        os.close(kept)
        os.close(stderr)


def _lacks_avx() -> bool:
    """Whether the library would end this process on being opened, without a word that could be passed on."""
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return flags is not None and "avx" not in flags[1].split()


def _folder() -> Path:
    """The folder of the installed package, found without importing it."""
    loaded = sys.modules.get("tensorflow")
    spec = getattr(loaded, "__spec__", None) or importlib.util.find_spec("tensorflow")
    if spec is None or not spec.submodule_search_locations:
        raise StartError(f"the model is TensorFlow's, and TensorFlow is not installed: {REMEDY}")
    return Path(spec.submodule_search_locations[0])
