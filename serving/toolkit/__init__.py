"""The names that scripts written for AWS's containers import, with our codecs behind them.

    sagemaker_inference, sagemaker_mxnet_serving_container, mms, eimx, ei_for_tf

Each is a package in this folder. `install` appends the folder to `sys.path`, at the end: the real package, where it is
installed, wins. `python -m serving.toolkit` makes that permanent for the interpreter, so that an entry script which is
started by plain `python entry.py` finds the names too.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from serving.accelerators.tensorflow import names

FOLDER = Path(__file__).parent
PACKAGES = ("sagemaker_inference", "sagemaker_mxnet_serving_container", "mms", "eimx", "ei_for_tf")
_served: list[Path] = []


def install(model_dir: Path | None = None, first: bool = False) -> None:
    """Make the names importable, behind whatever is installed, or before it where `first` says so.

    `model_dir` is what `sagemaker_inference.environment.model_dir` says where the server was told by a flag.
    """
    folder = str(FOLDER)
    if model_dir is not None:
        _served[:] = [model_dir]
    if first and sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    elif folder not in sys.path:
        sys.path.append(folder)
    names.install()


def served_directory() -> Path | None:
    """The model directory that `install` was last told, if any."""
    return _served[0] if _served else None


def write_path_file(site: Path | None = None) -> Path:
    """Write the `.pth` file that makes the names importable in every start of this interpreter; returns its path."""
    target = (site or Path(sysconfig.get_path("purelib"))) / "ei_toolkit.pth"
    target.write_text(f"{FOLDER}\n")
    return target
