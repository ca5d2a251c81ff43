"""A model's need, estimated and measured in processes of their own: the caller imports no framework.

model directory, archive or SavedModel -> Candidate -> `estimate` / `measure` -> bytes, seconds of a pass
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from serving import settings as knobs
from serving.accelerators.artifact import TENSORFLOW, Artifact
from serving.accelerators.errors import AcceleratorError, Code
from serving.errors import ModelError
from serving.models import archive, layout, saved_models
from serving.models.signature import Signature

Shapes = Mapping[str, tuple[int, ...]]
SECONDS = 600


@dataclass(frozen=True)
class Candidate:
    """A model to be measured: what an accelerator would be sent, and the inputs of one call."""

    artifact: Artifact
    shapes: Shapes = field(default_factory=dict)
    dtypes: Mapping[str, str] = field(default_factory=dict)
    batch: int = 1

    @property
    def framework(self) -> str:
        """The engine that runs it."""
        return self.artifact.framework


@dataclass(frozen=True)
class Setting:
    """How a measurement is made: threads of a pass, a limit in bytes (0: none), how many passes are timed."""

    threads: int = 2
    limit: int = 0
    passes: int = 20


@dataclass(frozen=True)
class Measured:
    """`peak` and `mapped` are bytes beyond a process that has run a small model: resident, and what RLIMIT_DATA counts."""

    peak: int
    mapped: int
    seconds: float
    passes: int
    shapes: Shapes
    dtypes: Mapping[str, str]

    @property
    def need(self) -> int:
        """What a type must have."""
        return max(self.peak, self.mapped)


def candidate(model: Path, batch: int = 1, given: Shapes | None = None, folder: Path | None = None) -> Candidate:
    """The model of a directory, an archive (unpacked below `folder`) or a SavedModel; ModelError where there is none.

    `given` are shapes by the inputs' names, or one under "" for an only input; `batch` is the length of the first axis otherwise.
    """
    if model.suffix == ".onnx":
        raise ModelError(f"{model} is an ONNX file: convert it first (`ei convert {model} FOLDER`), then name the folder")
    directory = archive.directory_of(model, folder or Path(tempfile.gettempdir()) / "ei")
    found = saved_models.find(directory)
    if found:
        from serving.accelerators.tensorflow import artifacts

        versions = next(iter(found.values()))
        return Candidate(artifacts.of(versions[max(versions)], artifacts.Ask()), _named(given or {}, None), {}, batch)
    from serving.backends import attached

    files = layout.detect(directory)
    if files.symbol is None:
        raise ModelError(f"{model} has no graph of its own: what only its script can load is sized by sweeping it, `ei sweep`")
    loaded = attached.load(files, knobs.read())
    artifact = replace(loaded.artifact, max_batch=0)
    names = [tensor.name for tensor in loaded.signature.inputs]
    fed = _sizes(loaded.signature, batch, _named(given or {}, loaded.signature))
    options = {**artifact.options, "inputs": json.dumps(names)}
    dtypes = {tensor.name: tensor.dtype.name for tensor in loaded.signature.inputs}
    return Candidate(replace(artifact, options=options), fed, dtypes, batch)


def _named(given: Shapes, signature: Signature | None) -> Shapes:
    if "" not in given:
        return given
    if signature is None or len(signature.inputs) != 1:
        raise ModelError("the shape has no name: give --shape NAME=1,3,224,224")
    return {signature.inputs[0].name: given[""]}


def _sizes(signature: Signature, batch: int, given: Shapes) -> Shapes:
    """The shape of each input; ModelError where one is open."""
    unknown = set(given) - {tensor.name for tensor in signature.inputs}
    if unknown:
        raise ModelError(f"the model has no input {sorted(unknown)}: it has {[str(tensor) for tensor in signature.inputs]}")
    found = {}
    for tensor in signature.inputs:
        if tensor.name in given:
            found[tensor.name] = given[tensor.name]
        elif tensor.shape is None or None in tensor.shape[1:]:
            raise ModelError(f"the model leaves sizes open ({tensor}): give them, --shape {tensor.name}={batch},3,224,224 say")
        else:
            found[tensor.name] = (batch, *[size or 1 for size in tensor.shape[1:]])
    return found


def estimate(candidate: Candidate) -> tuple[int, Mapping[str, int]] | None:
    """Bytes that the model is estimated to take, and what for; AcceleratorError where its graph does not take the inputs.

    None of a SavedModel: its files do not say what its passes take, which was 1 to 22 times as much, so it is measured alone.
    """
    if candidate.framework == TENSORFLOW:
        return None
    with _placed(candidate.artifact) as folder:
        answer = _asked("estimate", candidate, folder, Setting())
    return int(answer["total"]), answer["parts"]


def measure(candidate: Candidate, setting: Setting | None = None) -> Measured:
    """What loading the model and some passes take in a process of its own.

    AcceleratorError where the model cannot be run: RESOURCE_EXHAUSTED beyond the limit.
    """
    with _placed(candidate.artifact) as folder:
        answer = _asked("measure", candidate, folder, setting or Setting())
    fed = {name: tuple(shape) for name, shape in answer["shapes"].items()}
    return Measured(answer["peak"], answer["mapped"], answer["seconds"], answer["passes"], fed, answer["dtypes"])


def _asked(ask: str, candidate: Candidate, folder: Path, setting: Setting) -> Any:
    question = {
        "ask": ask,
        "framework": candidate.framework,
        "folder": str(folder),
        "max_batch": candidate.artifact.max_batch,
        "options": dict(candidate.artifact.options),
        "shapes": {name: list(shape) for name, shape in candidate.shapes.items()},
        "dtypes": dict(candidate.dtypes),
        "batch": candidate.batch,
        **vars(setting),
    }
    command = [sys.executable, "-m", "serving.accelerators.sizing.subject"]
    try:
        done = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise AcceleratorError(Code.DEADLINE_EXCEEDED, f"the model did not run within {SECONDS} s") from None
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        is_killed = done.returncode < 0
        code = Code.RESOURCE_EXHAUSTED if is_killed and setting.limit else Code.INTERNAL
        raise AcceleratorError(
            code, f"the process that ran the model ended: {f'signal {-done.returncode}, ' if is_killed else ''}{said}"
        )
    answer = json.loads(lines[-1])
    if "error" in answer:
        raise AcceleratorError(Code(answer["code"]), answer["error"])
    return answer


@contextmanager
def _placed(artifact: Artifact) -> Iterator[Path]:
    """The artifact's files by their repository names: the same files where links can be made, else copies."""
    with tempfile.TemporaryDirectory(prefix="ei-size-") as made:
        for name, found in artifact.files.items():
            target = Path(made) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(found, bytes):
                target.write_bytes(found)
                continue
            try:
                os.link(found.resolve(), target)
            except OSError:
                shutil.copyfile(found, target)
        yield Path(made)
