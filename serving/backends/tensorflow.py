"""TensorFlow behind a plain interface: a SavedModel in memory, its signatures, and a pass through one of them.

SavedModels of TF1 and TF2, frozen or not, are loaded by the C++ loader that TensorFlow Serving uses itself. Fed shapes may
differ from a placeholder's static shape, as there. A model may be run from several threads at once; each process
makes its own (`tensorflow_import` has the fork rule).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from serving.backends import tensorflow_import, tf_library, tf_signatures
from serving.backends.tf_library import Failure
from serving.backends.tf_session import Call, Means, Session
from serving.backends.tf_signatures import SignatureDef as SignatureDef
from serving.backends.tf_signatures import TensorInfo as TensorInfo
from serving.errors import BadRequest, ModelError, NotFound, ServingError, from_status
from serving.invocation import Array, Inputs, Outputs
from serving.models.saved_models import FILE

STATUSES = {1: 499, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 14: 503, 16: 401}
"""TensorFlow's code -> the status that TF Serving gives it (model_servers/http_server.cc); others are a 500."""

MISSING_OPERATION = re.compile(r"Op type not registered '([^']+)'")
MAX_CALLS = 256
"""Subsets of outputs that are kept ready."""


class SavedModel:
    """A loaded version of a model. `meta_graph` is its serialized MetaGraphDef without the graph itself."""

    def __init__(self, directory: Path, description: tf_signatures.Description, session: Session) -> None:
        self.directory = directory
        self._session = session
        self.signatures: Mapping[str, SignatureDef] = {
            name: self._settled(definition) for name, definition in description.signatures.items()
        }
        self.meta_graph = description.meta_graph
        self.parameter_bytes = _size(directory)
        self._calls: dict[tuple[str, tuple[str, ...]], Call] = {}
        for name in self.signatures:
            self._prepare(name, ())

    def run(self, signature: str, inputs: Inputs, outputs: Sequence[str] = ()) -> Outputs:
        """One pass: the outputs asked for, or all of them. Arrays are of the signature's dtypes, with any shape.

        BadRequest where the names or dtypes are not the signature's; what TensorFlow refuses has its message, and the status
        that TF Serving gives it.
        """
        wanted = tuple(outputs)
        call = self._calls.get((signature, wanted)) or self._prepare(signature, wanted)
        definition = self.signatures[signature]
        arrays = ordered(definition, inputs)
        try:
            found = call(arrays)
        except Failure as failure:
            raise _refused(failure) from None
        if wanted:
            return dict(zip(wanted, found, strict=True))
        return {info.name: array for info, array in zip(definition.outputs, found, strict=True)}

    def close(self) -> None:
        """Give back what the model holds; no pass may be under way."""
        self._calls.clear()
        self._session.close()

    def _settled(self, definition: SignatureDef) -> SignatureDef:
        """The signature with the dtypes that its graph has: some models' signatures name others, and TF Serving serves them."""
        try:
            inputs, outputs = (
                tuple(tf_signatures.retyped(info, self._session.dtype(info)) for info in infos)
                for infos in (definition.inputs, definition.outputs)
            )
        except KeyError as error:
            fault = f"its signature {definition.name} names {error.args[0]}, which its graph does not have"
            raise ModelError(f"{self.directory} cannot be served: {fault}") from None
        except ValueError as error:
            raise ModelError(f"{self.directory} cannot be served: its signature {definition.name}: {error}") from None
        return replace(definition, inputs=inputs, outputs=outputs)

    def _prepare(self, name: str, wanted: tuple[str, ...]) -> Call:
        definition = self.signatures.get(name)
        if definition is None:
            raise BadRequest(f'Serving signature key "{name}" not found.')
        by_name = {info.name: info for info in definition.outputs}
        unknown = [output for output in wanted if output not in by_name]
        if unknown:
            raise BadRequest(f"unknown outputs {unknown}: signature {name} has {sorted(by_name)}")
        infos = tuple(by_name[output] for output in wanted) or definition.outputs
        call = self._session.prepare(definition.inputs, infos)
        if len(self._calls) >= MAX_CALLS:
            self._calls = {key: kept for key, kept in self._calls.items() if not key[1]}
        self._calls[name, wanted] = call
        return call


def load(directory: Path, threads: int = 1) -> SavedModel:
    """The SavedModel in this version folder; ModelError says what is wrong with it.

    `threads` is how many one pass may use; the first model that a process loads decides for all of its models.
    """
    description = tf_signatures.describe(directory)
    try:
        session = Session(directory, Means(threads))
    except Failure as failure:
        raise unloadable(directory, failure) from None
    try:
        return SavedModel(directory, description, session)
    except ModelError:
        session.close()
        raise


def empty_like(info: TensorInfo, rows: int) -> Array | None:
    """Zeros (empty strings) of so many rows for this input, 1 where another size is open; None where the rank is."""
    if info.shape is None:
        return None
    first = [rows if size is None else size for size in info.shape[:1]]
    shape = (*first, *[1 if size is None else size for size in info.shape[1:]])
    return np.full(shape, b"", object) if info.dtype == object else np.zeros(shape, info.dtype)


def ordered(definition: SignatureDef, inputs: Inputs) -> list[Array]:
    """The arrays in the order of the signature; BadRequest where they are not those that it takes."""
    arrays = []
    for info in definition.inputs:
        array = inputs.get(info.name)
        if array is None:
            raise _mismatch(definition, inputs)
        if array.dtype != info.dtype:
            raise BadRequest(f"the input {info.name} is {array.dtype}: signature {definition.name} takes {info.dtype}")
        arrays.append(array)
    if len(arrays) != len(inputs):
        raise _mismatch(definition, inputs)
    return arrays


def _mismatch(definition: SignatureDef, inputs: Inputs) -> BadRequest:
    expected = {info.name for info in definition.inputs}
    missing, unknown = sorted(expected - set(inputs)), sorted(set(inputs) - expected)
    told = [f"missing {missing}"] * bool(missing) + [f"unknown {unknown}"] * bool(unknown)
    return BadRequest(f"wrong inputs: {' and '.join(told)}; signature {definition.name} has {sorted(expected)}")


def _refused(failure: Failure) -> ServingError:
    """A failed pass as the error that a client gets."""
    if failure.code == tf_library.INVALID_ARGUMENT:
        return BadRequest(failure.message)
    if failure.code == tf_library.NOT_FOUND:
        return NotFound(failure.message)
    return from_status(STATUSES.get(failure.code, 500), failure.message)


def unloadable(directory: Path, failure: Failure) -> ModelError:
    """Why TensorFlow did not load a model, in terms of what to do."""
    operation = MISSING_OPERATION.search(failure.message)
    if operation:
        version = tensorflow_import.library().TF_Version().decode()
        return ModelError(
            f"{directory} cannot be served: it uses the operation {operation[1]}, which TensorFlow {version} does not have; "
            "save the model without it, or serve it with a TensorFlow that has it"
        )
    remedy = "were its variables copied or unpacked to their end?"
    if failure.code == tf_library.PERMISSION_DENIED:
        remedy = "open them (chmod -R a+rX), or run as their owner (docker run --user)"
    told = " ".join(failure.message.partition("[[{{")[0].split())  # what follows names a node of the graph
    return ModelError(f"{directory} cannot be served: TensorFlow says: {told}; {remedy}")


def _size(directory: Path) -> int:
    """Bytes on disk of the variables and of the graph, which holds the constants of a frozen model."""
    files = [directory / FILE, *(directory / "variables").glob("*")]
    return sum(path.stat().st_size for path in files if path.is_file())
