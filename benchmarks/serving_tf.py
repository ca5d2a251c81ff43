"""Our serving of SavedModels beside others and beside the passes alone, as `serving.py` does it for MXNet, with its options.

Exits with 1 where any server answered wrong numbers, or ours failed or left a request without its answer.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a script: this folder, which Python puts first, has a serving.py too
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import harness, serving
from benchmarks.load import Load
from benchmarks.peers import catalog
from benchmarks.serving import Suite, Trial

SMALL = [Load("json", 1), Load("json", 16), Load("json", 64)]
LARGE = [Load("json", 1), Load("json", 8), Load("json", 16)]
TENSORFLOW = Suite(
    "serving_tf.py",
    {
        "half": Trial(SMALL, 2, ("1", "64")),
        "resnet": Trial(LARGE, 5, ("1", "4")),
        "frozen": Trial(LARGE, 5, ("1", "4")),
    },
    maker="tf_models",
    limit="tf_limit",
    peers=catalog.TF_PEERS,
)


def main() -> int:
    """Measure, print the tables, write the files that were asked for."""
    return serving.main(TENSORFLOW)


if __name__ == "__main__":
    harness.run(main)
