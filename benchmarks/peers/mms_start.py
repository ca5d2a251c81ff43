"""Starts AWS's MXNet stack as its container does, but for the one file that it writes outside SAGEMAKER_BASE_DIR.

usage: python -m benchmarks.peers.mms_start MODEL_DIRECTORY; SAGEMAKER_BASE_DIR is an empty folder, and is filled.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("mms_script.py")


def lay_out(model: Path, base: Path) -> None:
    """The model where the stack looks for it, with the script that it needs."""
    directory = base / "model"
    (directory / "code").mkdir(parents=True)
    for path in model.iterdir():
        if path.is_file():
            (directory / path.name).symlink_to(path)
    shutil.copy(SCRIPT, directory / "code" / "inference.py")


def main() -> None:
    """Serve until the server ends."""
    base = Path(os.environ["SAGEMAKER_BASE_DIR"])
    lay_out(Path(sys.argv[1]), base)
    # These read the environment and the folders when they are imported.
    from sagemaker_inference import model_server
    from sagemaker_mxnet_serving_container import serving  # type: ignore[import-not-found, unused-ignore]

    model_server.MMS_CONFIG_FILE = str(base / "mms.properties")  # under /etc otherwise
    serving.main()


if __name__ == "__main__":
    main()
