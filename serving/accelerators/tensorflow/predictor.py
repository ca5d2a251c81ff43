"""`EIPredictor`: Elastic Inference's predictor of SavedModels and frozen graphs, by its arguments and its answers.

    EIPredictor(model_dir, ...) -> what is asked -> artifact -> accelerator;  predictor({alias: value}) -> {alias: array}

TensorFlow is not imported: a signature is read from its file. `use_ei=False` runs the same engine in this process.
[AWS Deep Learning AMI guide, "Using TensorFlow Models with Amazon Elastic Inference"; tensorflow 1.x contrib/predictor]
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving import settings
from serving.accelerators import attached
from serving.accelerators.client import RemoteModel
from serving.accelerators.engines.base import Config, Host
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol.tensors import DTYPES
from serving.accelerators.tensorflow import artifacts, forms
from serving.accelerators.tensorflow.artifacts import Ask
from serving.backends import tf_signatures
from serving.backends.tf_signatures import TAG, SignatureDef
from serving.invocation import Array, Inputs, Outputs

log = logging.getLogger("ei.accelerator")
DEFAULT_KEY = "serving_default"
Run = Callable[[Inputs], Outputs]


@dataclass(frozen=True)
class Arguments:
    """EIPredictor's arguments, in their order."""

    model_dir: str | Path | None = None
    """The folder of a SavedModel, or the file of a frozen graph."""
    signature_def_key: str | None = None
    signature_def: Any = None
    input_names: Mapping[str, Any] | None = None
    output_names: Mapping[str, Any] | None = None
    tags: str | Collection[str] | None = None
    graph: Any = None
    """This and `config` are TensorFlow's, and have no say in what an accelerator does."""
    config: Any = None
    use_ei: bool = True
    accelerator_id: int | None = None
    """An ordinal."""
    export_dir: str | Path | None = None
    """Another name of `model_dir`."""

    @property
    def path(self) -> Path:
        """Where the model lies."""
        place = self.model_dir if self.model_dir is not None else self.export_dir
        if place is None:
            raise ValueError("EIPredictor needs model_dir: the folder of a SavedModel, or the file of a frozen graph")
        return Path(place)

    @property
    def ask(self) -> Ask:
        """What is asked of it; ValueError where the arguments contradict each other."""
        inputs, outputs = _names(self.input_names), _names(self.output_names)
        if (inputs is None) != (outputs is None):
            raise ValueError("input_names and output_names come together")
        if sum(one is not None for one in (self.signature_def_key, self.signature_def, inputs)) > 1:
            raise ValueError("give signature_def_key, or signature_def, or input_names with output_names: at most one of them")
        if self.signature_def is not None:
            ends = (self.signature_def.inputs, self.signature_def.outputs)
            inputs, outputs = (_names(dict(sorted(infos.items()))) for infos in ends)
        if inputs is None and self.path.is_file():
            raise ValueError(f"{self.path} is a frozen graph, which has no signatures: give input_names and output_names")
        tags = self.tags.split(",") if isinstance(self.tags, str) else self.tags
        return Ask(self.signature_def_key or DEFAULT_KEY, inputs, outputs, frozenset(tags or {TAG}))


@dataclass(frozen=True)
class End:
    """A tensor that is fed or fetched, with the attributes that scripts read of TensorFlow's own."""

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        return self.name


class EIPredictor:
    """A model on an accelerator: call it with `{alias: value}`; `feed_tensors` and `fetch_tensors` say which aliases there are.

    `del(predictor)` gives the accelerator its memory back. At the end of the script the model stays, for others that use it.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        """Load the model there. The arguments are those of `Arguments`."""
        arguments = Arguments(*given, **named)
        path, ask = arguments.path, arguments.ask
        self.feed_tensors, self.fetch_tensors = _ends(path, ask)
        self._dtypes: dict[str, np.dtype[Any]] = {}
        self._run = self._remote(path, ask, arguments.accelerator_id) if arguments.use_ei else self._local(path, ask)

    def __call__(self, feed: Mapping[str, Any]) -> dict[str, Array]:
        """One pass: every output by its alias, in a dict of the caller's own."""
        unknown = sorted(map(str, feed.keys() - self.feed_tensors.keys()))
        missing = sorted(self.feed_tensors.keys() - feed.keys())
        if unknown or missing:
            raise ValueError(f"wrong inputs: missing {missing}, unknown {unknown}; there are {list(self.feed_tensors)}")
        found = self._run({alias: self._array(alias, feed[alias]) for alias in self.feed_tensors})
        return {alias: _owned(found[alias], end.dtype) for alias, end in self.fetch_tensors.items()}

    def __repr__(self) -> str:
        return f"EIPredictor with feed tensors {list(self.feed_tensors)} and fetch tensors {list(self.fetch_tensors)}"

    # ----

    def _array(self, alias: str, value: Any) -> Array:
        """The value in the input's dtype, as it goes over the wire."""
        dtype = self.feed_tensors[alias].dtype
        if dtype is None:  # the graph says it, not a signature
            return _cast(alias, value, self._dtypes[alias])
        return forms.sent(_cast(alias, value, dtype))

    def _remote(self, path: Path, ask: Ask, ordinal: int | None) -> Run:
        try:
            model = attached.number(ordinal or 0).load(artifacts.of(path, ask))
        except AcceleratorError as error:
            if error.code != Code.UNAVAILABLE or settings.read().fallback != "cpu":
                raise
            log.warning("%s: on the CPU, as EI_FALLBACK says: %s", path, error.message)
            return self._local(path, ask)
        self._dtypes = {spec.name: DTYPES.get(spec.datatype, np.dtype(object)) for spec in model.inputs}
        weakref.finalize(self, _unload, model).atexit = False
        return model

    def _local(self, path: Path, ask: Ask) -> Run:
        from serving.accelerators.engines import tensorflow

        tensorflow.prepare(Host(settings.read().omp_threads))
        model = tensorflow.load_at(path, Config(path, 0, ask.options))
        self._dtypes = {tensor.name: tensor.dtype for tensor in model.inputs}
        return lambda inputs: model.forward(inputs, ())


def _unload(model: RemoteModel) -> None:
    try:
        model.close()
    except AcceleratorError as error:  # one that is gone has nothing to give back
        log.debug("the model was not unloaded: %s", error.message)


def _names(given: Mapping[str, Any] | None) -> dict[str, str] | None:
    return None if given is None else {str(alias): str(getattr(tensor, "name", tensor)) for alias, tensor in given.items()}


def _ends(path: Path, ask: Ask) -> tuple[dict[str, End], dict[str, End]]:
    """What is fed and fetched, in the order of the signature or of the names that were given."""
    if ask.inputs is not None and ask.outputs is not None:
        return _listed(ask.inputs), _listed(ask.outputs)
    artifacts.refuse_compiled(path)
    signatures = tf_signatures.describe(path, ask.tags).signatures
    found = signatures.get(ask.signature)
    if found is None:
        raise ValueError(f"{path} has no signature {ask.signature!r}; it has {', '.join(signatures)}")
    return _of(found)


def _listed(names: Mapping[str, str]) -> dict[str, End]:
    return {alias: End(tensor, None, None) for alias, tensor in names.items()}


def _of(definition: SignatureDef) -> tuple[dict[str, End], dict[str, End]]:
    inputs, outputs = (
        {info.name: End(info.tensor, info.dtype, info.shape) for info in infos}
        for infos in (definition.inputs, definition.outputs)
    )
    return inputs, outputs


def _cast(alias: str, value: Any, dtype: np.dtype[Any]) -> Array:
    """The value as an array of this dtype: scripts feed float64 from `np.random`, and lists of ints."""
    try:
        if dtype.kind == "O":
            return (
                np.vectorize(_text, otypes=[object])(np.asarray(value, object))
                if np.size(value)
                else np.empty(np.shape(value), object)
            )
        return np.ascontiguousarray(np.asarray(value).astype(dtype, copy=False)).reshape(np.shape(value))
    except (TypeError, ValueError) as error:
        raise ValueError(f"the input {alias} takes {dtype}: {error}") from None


def _text(one: Any) -> bytes:
    return one.encode() if isinstance(one, str) else bytes(one)


def _owned(array: Array, dtype: np.dtype[Any] | None) -> Array:
    """An array that the caller may write to."""
    return np.array(array if dtype is None or dtype.kind == "O" else forms.received(array, dtype))
