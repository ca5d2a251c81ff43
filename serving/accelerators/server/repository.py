"""The models of an accelerator by their names: loaded within its memory, idempotently, and unloaded.

Admission comes first: a load that cannot fit is refused with what it needs and the smallest type that has it. Then the
engine's own limit holds what admission could not know.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from serving.accelerators import catalog
from serving.accelerators.artifact import GRAPH_DEF, MXNET, SAVED_MODEL, SYMBOL, TENSORFLOW, Artifact
from serving.accelerators.engines import memory
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.server import store
from serving.accelerators.server.engines import Shared
from serving.accelerators.server.lane import Lane
from serving.accelerators.server.models import READY, Model
from serving.accelerators.server.options import Options
from serving.accelerators.server.store import Store

log = logging.getLogger("ei.accelerator")
IDLE_SECONDS = 60.0
"""A model that nobody has called for this long makes room for another: whoever still has it sends it again."""
FLOOR_BYTES = 30 << 20
BACKENDS = {"mxnet": MXNET, "tensorflow": TENSORFLOW, "tensorflow_savedmodel": TENSORFLOW, "tensorflow_graphdef": TENSORFLOW}


class Repository:
    """What is loaded."""

    def __init__(self, options: Options, shared: Shared) -> None:
        self.models: dict[str, Model] = {}
        self.lanes: dict[str, Lane] = {}
        self._options, self._shared = options, shared
        self._store = Store(options.store)
        self._lock = asyncio.Lock()
        self._loads = 0

    def find(self, name: str, version: str = "") -> Model:
        """The model of this name; NOT_FOUND where it is not loaded, UNAVAILABLE where it could not be loaded again."""
        model = self.models.get(name)
        if model is None or version not in ("", "1"):
            raise AcceleratorError(
                Code.NOT_FOUND, f"no model {name[:80]!r}{f' of version {version[:20]}' if version else ''} is loaded"
            )
        return model

    def lane(self, model: Model) -> Lane:
        """The lane of a model."""
        return self.lanes[model.framework]

    @property
    def used(self) -> int:
        """Bytes that the engines hold for models."""
        engines = [lane.engine for lane in self.lanes.values() if lane.engine is not None]
        return max(sum(max(0, engine.held - engine.base) for engine in engines), sum(m.needs for m in self.models.values()))

    async def load(self, name: str, parameters: dict[str, Any]) -> Model:
        """Load a model under a name. One that is there with the same files stays as it is.

        INVALID_ARGUMENT where the files are none, RESOURCE_EXHAUSTED where they do not fit.
        """
        files = {key.removeprefix("file:"): value for key, value in parameters.items() if key.startswith("file:")}
        async with self._lock:
            present = self.models.get(name)
            if not files:
                if present is not None:
                    return present
                raise AcceleratorError(Code.NOT_FOUND, f"{name[:80]!r} is not stored here: send its files along")
            store.check_names(files)
            artifact = _artifact(files, parameters.get("config", ""))
            if store.is_digest(name) and artifact.name != name:
                raise AcceleratorError(Code.INVALID_ARGUMENT, "the model's name is the digest of other files than these")
            if present is not None and present.state == READY and present.folder.name == artifact.name:
                return present
            model = self.models[name] = await self._load(name, artifact)
            if present is not None:
                await self._drop(present)
            return model

    async def unload(self, name: str) -> None:
        """Give a model's memory back; NOT_FOUND where it is not loaded."""
        async with self._lock:
            model = self.find(name)
            del self.models[name]
            await self._drop(model)

    def close(self) -> None:
        """End the engines and delete the files."""
        for engine in list(self._shared.processes):
            engine.close()
        self._store.close()

    async def _load(self, name: str, artifact: Artifact) -> Model:
        size = artifact.size
        await self._admit(FLOOR_BYTES + size, "at least ")
        loop = asyncio.get_running_loop()
        folder = await loop.run_in_executor(None, self._store.put, artifact)
        began = time.perf_counter()
        model = Model(
            name, artifact.framework, folder, (min(artifact.max_batch, self._options.max_batch), dict(artifact.options))
        )
        self._loads += 1
        model.key = f"{artifact.name}.{self._loads}"
        lane = self.lanes.setdefault(artifact.framework, Lane(artifact.framework, self._options, self._shared))
        try:
            await lane.load(model, self._options.type.memory - self.used)
        except AcceleratorError as error:
            self._forget(folder)
            raise self._with_hint(error) from None
        self._confine()
        message = "loaded %s (%s, %s) in %.2f s: %d MB, %d of %d MB are free%s"
        free = (self._options.type.memory - self.used) / 1e6
        log.info(
            message, name[:16], artifact.framework, self._options.device, time.perf_counter() - began, model.needs / 1e6,
            free, self._options.type.memory / 1e6, f"; {model.report}" if model.report else "",
        )  # fmt: skip
        return model

    async def _admit(self, needs: int, about: str) -> None:
        """Make room, by models that nobody uses; RESOURCE_EXHAUSTED where there is none."""
        idle = sorted(self.models.values(), key=lambda model: model.used)
        for model in idle:
            if needs <= self._options.type.memory - self.used:
                return
            if model.waiting or time.monotonic() - model.used < IDLE_SECONDS:
                continue
            log.info("unloading %s: idle for a minute, and its memory is needed", model.name[:16])
            del self.models[model.name]
            await self._drop(model)
        if needs > self._options.type.memory - self.used:
            raise self._with_hint(AcceleratorError(Code.RESOURCE_EXHAUSTED, f"the model needs {about}{needs / 1e6:,.0f} MB"))

    def _with_hint(self, error: AcceleratorError) -> AcceleratorError:
        """A refusal for want of memory, with what there is and what would do."""
        if error.code != Code.RESOURCE_EXHAUSTED:
            return error
        kind = self._options.type
        free = f"{(kind.memory - self.used) / 1e6:,.0f} of {kind.name}'s {kind.memory / 1e6:,.0f} MB are free"
        larger = catalog.smallest(kind.memory + 1)
        hint = f"unload other models, or take {larger.name}" if larger else "there is no larger type"
        return AcceleratorError(error.code, f"{error.message}: {free}; {hint}")

    async def _drop(self, model: Model) -> None:
        """Unload a model that is no longer among the others."""
        await self.lane(model).unload(model)
        self._forget(model.folder)
        self._confine()

    def _forget(self, folder: Path) -> None:
        """Delete files, unless another model is made of them too."""
        if not any(model.folder == folder for model in self.models.values()):
            self._store.drop(folder.name)

    def _confine(self) -> None:
        """Let no engine grow by more than what is free: the memory is the accelerator's, not each framework's."""
        free = self._options.type.memory - self.used
        for engine in self._shared.processes:
            if engine.is_alive and engine.base:
                with suppress(OSError):  # it has just died
                    memory.limit(engine.process.pid, memory.held(engine.process.pid) + max(0, free))


def _artifact(files: dict[str, bytes], config: str) -> Artifact:
    """The artifact of a load's parameters; its framework by the configuration, or by its files."""
    told = _config(config)
    named = str(told.get("backend") or told.get("platform") or "")
    framework = BACKENDS.get(named) if named else _guess(files)
    if framework is None:
        raise AcceleratorError(
            Code.INVALID_ARGUMENT,
            f"backend {named[:40]!r} is none of {sorted(BACKENDS)}, and the files are of none that is known",
        )
    options = {str(key): str(value.get("string_value", "")) for key, value in told.get("parameters", {}).items()}
    for side in ("input", "output"):  # as Triton's own configurations name the tensors
        if told.get(side) and f"{side}s" not in options and framework == MXNET:
            options[f"{side}s"] = json.dumps([str(tensor.get("name")) for tensor in told[side]])
    try:
        most = max(0, int(told.get("max_batch_size", 0)))
    except (TypeError, ValueError):
        raise AcceleratorError(Code.INVALID_ARGUMENT, "max_batch_size is no number") from None
    return Artifact(framework, files, most, options)


def _config(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text) if text else {}
        valid = isinstance(told, dict) and all(isinstance(v, dict) for v in dict(told.get("parameters", {})).values())
        valid = valid and all(isinstance(t, dict) for side in ("input", "output") for t in list(told.get(side, ())))
    except (ValueError, TypeError, RecursionError):
        valid = False
    if not valid:
        raise AcceleratorError(Code.INVALID_ARGUMENT, "config is no model configuration in JSON")
    return dict(told)


def _guess(files: dict[str, bytes]) -> str | None:
    if SYMBOL in files:
        return MXNET
    return TENSORFLOW if any(name.startswith((SAVED_MODEL, GRAPH_DEF)) for name in files) else None
