"""`import mxnet`, in a third of its time and with one OpenMP runtime.

MXNet 1.9.1 writes, compiles and runs the source of some 3,000 Python functions when it is imported, one for each operator
and namespace; a model uses a dozen. Here each is made at its first call. What else the import would pull in for nothing
(scipy and scikit-learn, which bring a second libgomp, requests, setuptools' distutils) comes on first use or not at all.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np

from serving import settings

VERSION = "1.9.1"
"""The version whose import is known here; any other is imported as it is."""

_REMOVED_ALIASES = {"bool": bool, "int": int, "float": float, "complex": complex, "object": object, "str": str}
_BLOCKED = ("scipy", "sklearn", "onnx", "h5py")

synchronous = False
"""Whether MXNet runs every call in its caller's thread; not so where something else imported it before."""


deferred: Callable[[Any], Any] | None = None
"""What `mx.nd.array` makes of host values instead of an array in MXNet's memory; set while an `input_fn` runs whose arrays
only the default pass will read."""


class _Lazy:
    """Stands for a module that was kept out of the import; loads it on first use."""

    __spec__ = None

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


def import_mxnet() -> ModuleType:
    """MXNet, ready for one thread a process; numpy gets back the aliases that MXNet names and numpy 1.24 removed."""
    global synchronous
    if "mxnet" in sys.modules:
        return sys.modules["mxnet"]
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Hook)]
    settings.put("OMP_NUM_THREADS", "1", keep=True)
    settings.put("MXNET_ENGINE_TYPE", "NaiveEngine")  # 1.8-2.2x on tiny models
    settings.put("MXNET_SUBGRAPH_VERBOSE", "0", keep=True)
    settings.put("MXNET_STORAGE_FALLBACK_LOG_VERBOSE", "0", keep=True)
    synchronous = True
    for name, builtin in _REMOVED_ALIASES.items():
        if name not in np.__dict__:
            setattr(np, name, builtin)
    with _without_ballast(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = _import_deferring()
    if module.__version__ == VERSION:
        _quicken_array(module)
        importlib.import_module("serving.accelerators.eia")  # mx.eia(), and the backend EIA
    if importlib.util.find_spec("scipy"):
        module.ndarray.sparse.spsp = _Lazy("scipy.sparse")  # sparse arrays get it back on first use
    return module


def _quicken_array(mxnet: Any) -> None:
    """Let `mx.nd.array` copy values in as they lie: its own way, an indexed assignment, takes four times as long.

    It is what nearly every user script's `input_fn` ends in.
    """
    plain = mxnet.ndarray.ndarray.array
    empty = mxnet.ndarray.ndarray.empty

    def array(source_array: Any, ctx: Any = None, dtype: Any = None) -> Any:
        if isinstance(source_array, (list, tuple)):
            try:
                source_array = np.array(source_array, dtype=dtype or np.float32)
            except Exception:
                return plain(source_array, ctx, dtype)  # raises what MXNet raises
        if type(source_array) is not np.ndarray or not source_array.ndim or not source_array.size:
            return plain(source_array, ctx, dtype)
        if deferred is not None and (ctx is None or ctx.device_type == "cpu"):
            return deferred(np.array(source_array, dtype=dtype or np.float32))
        made = empty(source_array.shape, ctx, dtype or np.float32)
        made._sync_copyfrom(source_array)
        return made

    array.__doc__ = plain.__doc__
    mxnet.ndarray.ndarray.array = mxnet.ndarray.utils._array = array


class _Hook(Loader):
    """Finds `mxnet` for whoever imports it first, a user script say, and imports it our way."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The module as `import_mxnet` makes it; None for every other name."""
        if name != "mxnet":
            return None
        sys.meta_path.remove(self)
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Import it, and keep the spec that it has of its own."""
        module = import_mxnet()
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to run."""
        module.__spec__ = self._spec


def hook() -> None:
    """See to it that a later `import mxnet` of anybody's is `import_mxnet`."""
    if "mxnet" not in sys.modules and not any(isinstance(finder, _Hook) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Hook())


@contextmanager
def _without_ballast() -> Iterator[None]:
    """Keep modules out of the import that MXNet can do without, as it does where they are not installed."""
    absent = [name for name in _BLOCKED if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    lazy = [name for name in ("requests",) if name not in sys.modules]
    for name in lazy:
        sys.modules[name] = _Lazy(name)  # type: ignore[assignment]
    finders = list(sys.meta_path)
    sys.meta_path[:] = [finder for finder in finders if type(finder).__name__ != "DistutilsMetaFinder"]
    try:
        yield
    finally:
        sys.meta_path[:] = finders
        for name in absent + lazy:
            sys.modules.pop(name, None)


def _import_deferring() -> ModuleType:
    """Import MXNet with its operator functions deferred: `mxnet.base`, which makes them, is loaded before the package."""
    spec = importlib.util.find_spec("mxnet")
    if spec is None or spec.loader is None:
        return importlib.import_module("mxnet")  # raises what the caller expects
    package = importlib.util.module_from_spec(spec)
    sys.modules["mxnet"] = package
    try:
        if importlib.import_module("mxnet.libinfo").__version__ == VERSION:
            base = importlib.import_module("mxnet.base")
            for name in ("_init_op_module", "_init_np_op_module"):
                setattr(base, name, _deferring(getattr(base, name)))
        spec.loader.exec_module(package)
    except BaseException:
        sys.modules.pop("mxnet", None)
        raise
    return package


def _deferring(register: Callable[..., None]) -> Callable[..., None]:
    """MXNet's registration of a module's operators, with functions that are made at their first call."""
    signature = inspect.signature(register)

    def registering(*args: Any, **kwargs: Any) -> None:
        bound = signature.bind(*args, **kwargs)
        bound.arguments["make_op_func"] = _later(bound.arguments["make_op_func"])
        register(*bound.args, **bound.kwargs)

    return registering


def _later(make: Callable[..., Callable[..., Any]]) -> Callable[..., Callable[..., Any]]:
    def make_later(handle: Any, name: str, func_name: str) -> Callable[..., Any]:
        made: Callable[..., Any] | None = None

        def operator(*args: Any, **kwargs: Any) -> Any:
            nonlocal made
            if made is None:
                made = make(handle, name, func_name)
            return made(*args, **kwargs)

        operator.__name__ = func_name
        operator.__doc__ = ""  # MXNet edits the text of some
        return operator

    return make_later
