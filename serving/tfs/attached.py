"""A SavedModel on an accelerator, for the servables of this process: TensorFlow's library is not opened.

    folder -> signatures (read from the file) -> run(signature, inputs) -> artifact of that signature, sent once -> outputs

A signature is a model of its own there; those of one SavedModel share its variables. What a pass is refused for has the status
and the words that it has when the model runs here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from serving.accelerators import attached
from serving.accelerators.client import RemoteModel
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol import tensors
from serving.accelerators.tensorflow import artifacts, forms
from serving.accelerators.tensorflow.artifacts import Ask
from serving.backends import tensorflow, tf_signatures
from serving.backends.tensorflow import SignatureDef, TensorInfo
from serving.backends.tf_tensors import DTYPES
from serving.errors import BadRequest, ModelError, NotFound, ServingError
from serving.invocation import Inputs, Outputs
from serving.settings import Settings
from serving.tfs.servables import DEFAULT_SIGNATURE

log = logging.getLogger("ei.models")
AWAY = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
"""What says that an accelerator is not there now: `/ping` tells of it, and a later call may find it."""


def load(directory: Path, settings: Settings) -> AttachedModel:
    """The SavedModel in this version folder, sent to the accelerator of EI_DEVICE; ModelError where it does not take it."""
    model = AttachedModel(directory, settings)
    first = DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in model.signatures else next(iter(model.signatures))
    try:
        model.send(first)
    except AcceleratorError as error:
        if error.code not in AWAY:
            raise ModelError(f"{directory} cannot be served on {settings.device}: {error.message}") from None
        log.warning("%s is not on its accelerator yet: %s", directory, error.message)
    return model


class AttachedModel:
    """A loaded version of a model, run elsewhere. Connections are this process' own."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        description = tf_signatures.describe(directory)
        self.directory, self.meta_graph = directory, description.meta_graph
        self.signatures = dict(description.signatures)
        self.parameter_bytes = sum(path.stat().st_size for path in artifacts.files(directory).values())
        self._settings = settings
        self._remotes: dict[str, RemoteModel] = {}

    def run(self, signature: str, inputs: Inputs, outputs: Sequence[str] = ()) -> Outputs:
        """One pass: the outputs asked for, or all of them."""
        if signature not in self.signatures:
            raise BadRequest(f'Serving signature key "{signature}" not found.')
        try:
            remote = self._remotes.get(signature) or self.send(signature)
            definition = self.signatures[signature]
            wanted = _wanted(definition, outputs)
            arrays = tensorflow.ordered(definition, inputs)
            fed = {info.name: forms.sent(array) for info, array in zip(definition.inputs, arrays, strict=True)}
            found = remote(fed, outputs, self._settings.deadline)
        except AcceleratorError as error:
            raise _refused(error) from None
        return {info.name: forms.received(found[info.name], info.dtype) for info in wanted}

    def send(self, signature: str) -> RemoteModel:
        """The signature's model there, loaded where it is not; its dtypes are the graph's from here on."""
        settings = self._settings
        rows = {"rows": "independent"} if settings.tfs_batching else {}
        asked = artifacts.of(self.directory, Ask(signature), settings.accelerator_batch, shapes="any", **rows)
        accelerator = attached.number(attached.ordinal(settings.device), settings)
        remote = accelerator.load(asked, settings.startup_timeout)
        self.signatures[signature] = _settled(self.signatures[signature], remote)
        self._remotes[signature] = remote
        return remote

    def close(self) -> None:
        """The model stays there, for the other processes that use it."""
        self._remotes.clear()


def _wanted(definition: SignatureDef, outputs: Sequence[str]) -> Sequence[TensorInfo]:
    by_name = {info.name: info for info in definition.outputs}
    unknown = [output for output in outputs if output not in by_name]
    if unknown:
        raise BadRequest(f"unknown outputs {unknown}: signature {definition.name} has {sorted(by_name)}")
    return [by_name[output] for output in outputs] or definition.outputs


def _settled(definition: SignatureDef, remote: RemoteModel) -> SignatureDef:
    """The signature with the dtypes that its graph has: some models' signatures name others."""
    told = {spec.name: spec.datatype for spec in (*remote.inputs, *remote.outputs)}
    inputs, outputs = (
        tuple(_retyped(info, told.get(info.name, "")) for info in infos) for infos in (definition.inputs, definition.outputs)
    )
    return replace(definition, inputs=inputs, outputs=outputs)


def _retyped(info: TensorInfo, datatype: str) -> TensorInfo:
    sent: np.dtype[Any] = forms.described(info.name, None, info.dtype).dtype
    if not datatype or tensors.datatype(sent) == datatype:
        return info
    dtype = tensors.DTYPES.get(datatype, np.dtype(object))
    return tf_signatures.retyped(info, next(enum for enum, known in DTYPES.items() if known == dtype))


def _refused(error: AcceleratorError) -> ServingError:
    """The error that a pass in this process would have had."""
    if error.code == Code.INVALID_ARGUMENT:
        return BadRequest(error.message)
    return NotFound(error.message) if error.code == Code.NOT_FOUND else error
