"""`ei freeze`: a SavedModel with its variables folded into an optimised graph, beside the proof that it answers the same.

    version folder -> load, as TF1 did -> variables to constants -> grappler -> a hidden folder -> compare -> the new version folder

TF2's models go the same way as TF1's, since every SavedModel is a graph that a session runs; so all signatures share one set
of constants. Names, keys, dtypes and shapes of the signatures stay, and so do look-up tables, vocabularies and warm-up
requests. This and user scripts are all that imports the Python package, and it does so in a process of its own: the
comparison then runs as the server does.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serving import settings
from serving.backends import tensorflow, tensorflow_drift, tf_freezing
from serving.backends.tensorflow_drift import Comparison, Source
from serving.backends.tf_freezing import Frozen
from serving.errors import ModelError
from serving.models import saved_models

TOLERANCE = 1e-4
KEPT = ("assets", "assets.extra")
"""Folders beside the graph that the new version needs too: vocabularies, warm-up requests."""


@dataclass(frozen=True)
class Choices:
    """What may be asked of `main` besides the two folders."""

    signatures: tuple[str, ...] = ()
    """Those to keep; all of them where none is named."""

    tolerance: float = TOLERANCE
    """How large an error may be, as a share of the output's largest number."""

    samples: Path | None = None
    """An .npz file of inputs by name, instead of made-up ones."""

    json: Path | None = None
    """Where the report goes, for a program."""


def main(source: Path, target: Path, choices: Choices | None = None) -> int:
    """Freeze the version in `source` into a new folder `target`; print the report. 1, and no folder, where it drifts.

    ModelError where the model cannot be frozen, with the operation that stands in the way.
    """
    choices = choices or Choices()
    with written(source, target) as folder:
        frozen = in_a_process(source, folder, choices.signatures)
        say(f"{frozen.variables} variables folded; {frozen.nodes_before} nodes became {frozen.nodes_after}")
        compared = compare(source, folder, choices, frozen)
        faults = compared.faults(choices.tolerance)
        if choices.json is not None:
            choices.json.write_text(json.dumps(report(source, target, frozen, compared, faults), indent=1) + "\n")
        print(compared.text())
        if not faults:
            os.rename(folder, target)
            print(f"\n{target}: {size(target) / 1e3:,.0f} KB, of {size(source) / 1e3:,.0f} KB")
    for fault in faults:
        print(f"ei freeze: {fault}", file=sys.stderr)
    return 1 if faults else 0


@contextmanager
def written(source: Path, target: Path) -> Iterator[Path]:
    """A hidden folder beside the target with what is copied of the source; gone at the end, where it was not renamed."""
    if not (source / saved_models.FILE).is_file():
        versions = sorted(path for versions in found_in(source) for path in versions.values())
        hint = f"; there is {', '.join(map(str, versions))}" if versions else ""
        raise ModelError(f"{source} holds no {saved_models.FILE}: name the folder of a version{hint}")
    if target.exists():
        raise ModelError(f"{target} exists: name a new folder, of the next version for instance")
    folder = target.parent / f".{target.name}.freeze-{os.getpid()}"  # servers pass hidden folders over
    folder.mkdir(parents=True)
    try:
        for name in KEPT:
            if (source / name).is_dir():
                shutil.copytree(source / name, folder / name)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def found_in(source: Path) -> list[dict[int, Path]]:
    """The versions of each model below a folder; none where there is no folder."""
    return list(saved_models.find(source).values()) if source.is_dir() else []


def in_a_process(source: Path, folder: Path, signatures: tuple[str, ...]) -> Frozen:
    """`tf_freezing.freeze` in a process that ends with it, since TensorFlow's threads and memory stay as long as theirs does."""
    settings.put("TF_CPP_MIN_LOG_LEVEL", "2", keep=True)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(tf_freezing.freeze, source, folder, signatures).result()
        except BrokenProcessPool:
            raise ModelError(f"{source}: TensorFlow's process died; was there enough memory?") from None


def compare(source: Path, folder: Path, choices: Choices, frozen: Frozen) -> Comparison:
    """Both versions on the same inputs, as the server would run them."""
    say("comparing the two")
    before, after = tensorflow.load(source), tensorflow.load(folder)
    given = tensorflow_drift.samples(choices.samples) if choices.samples else {}
    try:
        return tensorflow_drift.compare(before, after, Source(given, frozen.features), say)
    finally:
        before.close()
        after.close()


def report(source: Path, target: Path, frozen: Frozen, compared: Comparison, faults: list[str]) -> dict[str, Any]:
    """Everything that was found, for a program."""
    counts = {name: value for name, value in asdict(frozen).items() if name != "features"}
    return {"source": str(source), "target": str(target), **counts, **asdict(compared), "faults": faults}


def size(folder: Path) -> int:
    """Bytes of everything below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


say: Callable[[str], None] = tf_freezing.say
