"""Write scikit-learn's bundled handwritten digits to an .npz file: images (n, 1, 8, 8) in 0..1, and labels.

A process of its own, because scikit-learn brings an OpenMP runtime along, and a second one does not belong into the process
that runs MXNet.

    python examples/digits/digits.py build/digits/digits.npz
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

HELD_OUT = 360
"""Of 1,797; drawn by chance from a fixed seed, because the set runs through the digits in order."""


def main(target: Path) -> None:
    digits = load_digits()
    images = (digits.images / 16.0).astype(np.float32)[:, np.newaxis]
    order = np.random.default_rng(7).permutation(len(images))
    held_out, others = order[:HELD_OUT], order[HELD_OUT:]
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        target,
        images=images[others],
        labels=digits.target[others],
        held_out_images=images[held_out],
        held_out_labels=digits.target[held_out],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
