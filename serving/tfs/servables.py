"""The models and versions of one process: what a request's model name and version lead to.

    {name: {version: folder}} -> backend -> Servable, one for each version        load
    (name or None, version or None) -> Servable, or NotFound                     find

A name that is missing is the default model's; a version that is missing is the newest that loaded, as is version 0 of a model
without one (OpenVINO's client, which speaks this protocol, says so). Where several versions or
models lie in the directory, one that cannot be loaded is an error in the log and a status of its own; the others serve.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from serving.backends.tensorflow import SignatureDef
from serving.errors import BadRequest, ModelError, NotFound, ServingError, UserCodeError
from serving.invocation import Inputs, Outputs
from serving.tfs.stacking import Stacking

log = logging.getLogger("ei.models")
DEFAULT_SIGNATURE = "serving_default"


class Runnable(Protocol):
    """A loaded SavedModel, in this process (`backends.tensorflow`) or behind a TF Serving process (`backends.tf_serving`)."""

    parameter_bytes: int

    @property
    def signatures(self) -> Mapping[str, SignatureDef]:
        """Its signatures by name."""

    @property
    def meta_graph(self) -> bytes:
        """Its serialized MetaGraphDef, without the graph itself."""

    def run(self, signature: str, inputs: Inputs, outputs: tuple[str, ...] = ()) -> Outputs:
        """One pass over these inputs; all outputs of the signature, or those named."""

    def close(self) -> None:
        """Give back what the model holds."""


@dataclass(frozen=True)
class Servable:
    """One version of a model, loaded."""

    name: str
    version: int | None
    """None where another process knows which is the newest."""
    model: Runnable
    trusted: bool = False
    """Whether the user says that rows may share a pass (SAGEMAKER_TFS_ENABLE_BATCHING)."""
    max_rows: int = 64

    def signature(self, name: str) -> SignatureDef:
        """The signature of this name, `serving_default` where it is empty; BadRequest lists those that there are."""
        found = self.model.signatures.get(name or DEFAULT_SIGNATURE)
        if found is None:
            raise BadRequest(
                f"{self.name} has no signature {(name or DEFAULT_SIGNATURE)[:60]!r}; it has {', '.join(self.model.signatures)}"
            )
        return found

    @cached_property
    def stacking(self) -> Stacking:
        """Which of its signatures take the rows of several requests in one pass."""
        return Stacking(self.model, self.trusted)

    @cached_property
    def default_signature(self) -> SignatureDef | None:
        """`serving_default`, or the only signature that there is."""
        signatures = self.model.signatures
        return signatures.get(DEFAULT_SIGNATURE) or (next(iter(signatures.values())) if len(signatures) == 1 else None)


class Models(Protocol):
    """What is served, wherever it runs."""

    default: str

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the default model's parameters, 0 where they are not known."""

    def find(self, name: str | None, version: int | None) -> Servable:
        """The servable of these; a missing name is the default model's, a missing version the newest."""

    def versions(self, name: str | None, version: int | None = None) -> dict[int, str]:
        """Version -> why it is not available ("" where it is)."""

    def close(self) -> None:
        """Give back what all models hold."""


class Servables:
    """All models of this process by name and version. `broken` says why a version did not load."""

    def __init__(
        self, models: Mapping[str, Mapping[int, Servable]], default: str, broken: Mapping[tuple[str, int], str] | None = None
    ) -> None:
        self.models, self.default, self.broken = models, default, broken or {}
        self._newest = {name: versions[max(versions)] for name, versions in models.items() if versions}

    def find(self, name: str | None, version: int | None) -> Servable:
        """The servable of these; NotFound says which models and versions there are."""
        name = name or self.default
        found = self.models.get(name, {}).get(version or 0) if version is not None else None
        found = found or (None if version else self._newest.get(name))
        if found is None:
            raise self._missing(name, version)
        return found

    def versions(self, name: str | None, version: int | None = None) -> dict[int, str]:
        """Version -> why it is not available ("" where it is) of a model; NotFound where there is none of it."""
        name = name or self.default
        states = {number: "" for number in self.models.get(name, {})}
        states |= {number: why for (other, number), why in self.broken.items() if other == name}
        version = version if version or 0 in states else None
        chosen = {number: why for number, why in sorted(states.items()) if version in (None, number)}
        if not chosen:
            raise self._missing(name, version)
        return chosen

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the default model's parameters."""
        return self.find(None, None).model.parameter_bytes

    def close(self) -> None:
        """Give back what all models hold."""
        for versions in self.models.values():
            for servable in versions.values():
                servable.model.close()

    def _missing(self, name: str, version: int | None) -> ServingError:
        why = self.broken.get((name, version or 0)) or next((w for (other, _), w in self.broken.items() if other == name), "")
        if why and (version is None or (name, version) in self.broken):
            return UserCodeError(f"the model {name} could not be loaded: {why}")
        if name not in self.models:
            return NotFound(f"no model {name[:60]!r} is served here; these are: {', '.join(self.models)}")
        numbers = ", ".join(str(number) for number in sorted(self.models[name]))
        return NotFound(f"the model {name} has no version {version}; it has {numbers}")


Load = Callable[[str, int, Path], Servable]


def load(found: Mapping[str, Mapping[int, Path]], default: str, load_one: Load) -> Servables:
    """Load every version of every model; ModelError where nothing of the default model can be, or where it is the only one."""
    if default and default not in found:
        raise ModelError(
            f"the default model {default!r} (SAGEMAKER_TFS_DEFAULT_MODEL_NAME) is not there: found {', '.join(found)}"
        )
    default = default or next(iter(found))
    models: dict[str, dict[int, Servable]] = {name: {} for name in found}
    broken: dict[tuple[str, int], str] = {}
    for name, versions in found.items():
        for version, folder in sorted(versions.items()):
            try:
                models[name][version] = load_one(name, version, folder)
            except ModelError as error:
                broken[name, version] = str(error)
    if not models[default]:
        raise ModelError(next(why for (name, _), why in broken.items() if name == default))
    for (name, version), why in broken.items():
        log.error("%s version %d is not served: %s", name, version, why)
    return Servables(models, default, broken)
