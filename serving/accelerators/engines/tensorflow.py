"""The TensorFlow engine: SavedModels and frozen graphs, run by the C library as the container's own backend runs them.

    check (files by name, graph by operation) -> session, one for all artifacts of the same files -> signature or named tensors

An artifact answers one signature; others of the same model share its variables. A pass runs in this process' only thread, with
`Host.threads` for its kernels.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from serving.accelerators.engines import memory, tensorflow_files
from serving.accelerators.engines.base import Config, EngineModel, Host
from serving.accelerators.engines.tensorflow_files import Ends
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.tensorflow import forms
from serving.backends import tensorflow, tensorflow_import, tf_library, tf_signatures
from serving.backends.tensorflow import SavedModel, SignatureDef, TensorInfo
from serving.backends.tf_library import Failure
from serving.backends.tf_session import Means, Session
from serving.errors import ModelError, ServingError, StartError
from serving.invocation import Array, Inputs, Outputs
from serving.models.signature import Tensor
from serving.tfs.stacking import Stacking

log = logging.getLogger("ei.engine")
CODES = {status: Code(code) for code, status in tensorflow.STATUSES.items() if code not in (9, 10, 11)}
"""The status that TF Serving gives a failed pass -> the code that it had; others are INTERNAL."""
NAMED = "named"
"""What the signature of named tensors is called here."""
ANY_SHAPE = "any"
"""The option `shapes` of artifacts whose placeholders' static shapes bind nobody, as TF Serving has it."""
_means = Means()
_sessions: WeakValueDictionary[tuple[str, ...], Session] = WeakValueDictionary()


def prepare(host: Host) -> None:
    """Open TensorFlow's library. Of a GPU a session takes so much memory and no more; that has not been tried on one."""
    global _means
    _means = Means(host.threads, host.memory if host.device == "cuda" else 0)
    tensorflow_import.library()
    tensorflow_import.protos()


def check(config: Config) -> None:
    """AcceleratorError where the files are no model that may be run here. Nothing of them is run."""
    tensorflow_files.check(config)


def load(config: Config) -> EngineModel:
    """The model, checked and warm; AcceleratorError where it is none, or does not fit."""
    check(config)
    return load_at(tensorflow_files.place(config), config)


def load_at(place: Path, config: Config) -> EngineModel:
    """The model of a folder or a file that is trusted, with a config's options."""
    before = memory.held()
    try:
        return _warmed(Model(*_saved_model(place, config), config))
    except (ModelError, StartError) as error:
        why = str(error)
    except MemoryError as error:
        why = f"out of memory: {error}"
    if memory.is_exhausted(Exception(why)) or "OOM" in why:
        memory.trim()
        raise memory.exhausted("loading the model", max(memory.held() - before, config.budget + 1), config.budget)
    raise AcceleratorError(Code.INVALID_ARGUMENT, why.replace(str(place), "the model"))


class Model:
    """A signature of a loaded graph."""

    report = ""

    def __init__(self, saved: SavedModel, name: str, config: Config) -> None:
        self._saved: SavedModel | None = saved
        self._budget = config.budget
        self.signature = definition = saved.signatures[name]
        self._inputs = {info.name: info.dtype for info in definition.inputs}
        self.max_batch = config.max_batch if config.max_batch and self._stacks(definition, config) else 0
        is_open = config.option("shapes") == ANY_SHAPE
        self.inputs, self.outputs = (
            tuple(_described(info, is_open) for info in infos) for infos in (definition.inputs, definition.outputs)
        )

    def _stacks(self, definition: SignatureDef, config: Config) -> bool:
        assert self._saved is not None
        return Stacking(self._saved, config.option("rows") == "independent").allows(definition)

    def stacks(self, inputs: Inputs) -> bool:
        """Any call of the shapes that the signature has: for others it was not found out that rows are independent."""
        return all(info.name in inputs and _fits(info, inputs[info.name]) for info in self.signature.inputs)

    def forward(self, inputs: Inputs, outputs: tuple[str, ...]) -> Outputs:
        """One pass."""
        if self._saved is None:
            raise AcceleratorError(Code.NOT_FOUND, "the model was unloaded")
        try:
            fed = {name: self._taken(name, array) for name, array in inputs.items()}
            found = self._saved.run(self.signature.name, fed, outputs)
        except (MemoryError, ServingError) as error:
            raise self._failed(error, inputs) from None
        return {name: forms.sent(array) for name, array in found.items()}

    def close(self) -> None:
        """Let go of the session, which ends with its last model."""
        self._saved = None

    def _taken(self, name: str, array: Any) -> Any:
        if name not in self._inputs:
            return array  # the pass says what the signature has
        try:
            return forms.received(array, self._inputs[name])
        except ValueError as error:
            raise AcceleratorError(Code.INVALID_ARGUMENT, f"the input {name}: {error}") from None

    def _failed(self, error: MemoryError | ServingError, inputs: Inputs) -> AcceleratorError:
        if isinstance(error, AcceleratorError):
            return error
        if isinstance(error, MemoryError) or error.status == tensorflow.STATUSES[tf_library.RESOURCE_EXHAUSTED]:
            shapes = {name: array.shape for name, array in inputs.items()}
            return memory.exhausted("a pass", self._budget + 1, self._budget, shapes)
        return AcceleratorError(CODES.get(error.status, Code.INTERNAL), error.message)


def _fits(info: TensorInfo, array: Array) -> bool:
    """Whether an array as it was sent has a tensor's shape."""
    shape = forms.described(info.name, info.shape, info.dtype).shape
    return shape is None or (
        array.ndim == len(shape) and all(want in (None, size) for want, size in zip(shape, array.shape, strict=True))
    )


def _described(info: TensorInfo, is_open: bool) -> Tensor:
    return forms.described(info.name, None if is_open else info.shape, info.dtype)


def _saved_model(place: Path, config: Config) -> tuple[SavedModel, str]:
    """The loaded graph, and which of its signatures is asked for."""
    named, tags = tensorflow_files.ends(config), tensorflow_files.tags(config)
    wanted = NAMED if named else config.option("signature", "serving_default")
    description = _named(named) if named else tf_signatures.describe(place, tags)
    if wanted not in description.signatures:
        told = ", ".join(description.signatures)
        raise ModelError(f"the model has no signature {wanted[:60]!r}; it has {told[:300]}")
    session = _session(place, tags)
    only = tf_signatures.Description(description.meta_graph, {wanted: description.signatures[wanted]})
    return SavedModel(place, only, session), wanted


def _session(place: Path, tags: tuple[str, ...]) -> Session:
    """The session of these files, which may be there already."""
    key = (_digest(place), *tags)
    session = _sessions.get(key)
    if session is None:
        with nullcontext(place) if place.is_dir() else tensorflow_files.as_saved_model(place) as folder:
            try:
                session = Session(folder, _means, tags)
            except Failure as failure:
                raise tensorflow.unloadable(place, failure) from None
        _sessions[key] = session
    return session


def _named(ends: Ends) -> tf_signatures.Description:
    """Tensors by the names that the user gave them, as a signature; their dtypes are the graph's, once it is there."""
    infos = [
        tuple(TensorInfo(alias, tensor, np.dtype("float32"), 1, None) for alias, tensor in names.items())
        for names in _both(ends)
    ]
    return tf_signatures.Description(b"", {NAMED: SignatureDef(NAMED, "", infos[0], infos[1])})


def _both(ends: Ends) -> tuple[Mapping[str, str], Mapping[str, str]]:
    return ends.inputs, ends.outputs


def _warmed(model: Model) -> Model:
    """The model after a pass of zeros, where one can be made: kernels are built in the first."""
    inputs = {info.name: tensorflow.empty_like(info, 1) for info in model.signature.inputs}
    if inputs and all(array is not None for array in inputs.values()):
        try:
            model.forward({name: forms.sent(array) for name, array in inputs.items() if array is not None}, ())
        except AcceleratorError as error:
            if error.code == Code.RESOURCE_EXHAUSTED:
                raise
            log.debug("a pass of zeros failed: %s", error.message)
    return model


def _digest(place: Path) -> str:
    """The digest of the files by their names."""
    whole = hashlib.sha256()
    for path in [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            whole.update(str(path.relative_to(place.parent)).encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()
