"""Runs at the start of every Python process that has this folder on PYTHONPATH: Elastic Inference's names are there.

Another `sitecustomize`, which this one hides, is run as well.
"""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def _others() -> list[str]:
    """The path without this folder."""
    return [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]


if str(HERE.parents[2]) not in sys.path:
    sys.path.append(str(HERE.parents[2]))

from serving.accelerators import scripts  # noqa: E402

scripts.install()
_hidden = importlib.machinery.PathFinder.find_spec("sitecustomize", _others())
if _hidden is not None and _hidden.loader is not None:
    _hidden.loader.exec_module(importlib.util.module_from_spec(_hidden))
