"""Run a script of Elastic Inference's days as it is: what it imports is there, and `import mxnet` works on today's numpy.

python -m serving.accelerators.scripts SCRIPT.py ARGUMENTS
PYTHONPATH=.../serving/accelerators/site python SCRIPT.py ARGUMENTS
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from serving import toolkit
from serving.backends import mxnet_import

SITE = Path(__file__).parent / "site"
"""The folder that, on PYTHONPATH, does in every Python process what `install` does."""


def install() -> None:
    """Make the names importable that such scripts import; nothing is imported before they do."""
    mxnet_import.hook()
    toolkit.install()


def main(argv: list[str]) -> int:
    """Run the script as `python SCRIPT.py` would."""
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: python -m serving.accelerators.scripts SCRIPT.py [ARGUMENT ...]", file=sys.stderr)
        return 0 if argv else 2
    script = Path(argv[0])
    if not script.is_file():
        print(f"{script} is no file", file=sys.stderr)
        return 2
    install()
    sys.argv = [str(script), *argv[1:]]
    sys.path[0] = str(script.resolve().parent)
    runpy.run_path(str(script), run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
