"""Train a perceptron on the digits with scikit-learn, and pickle it as its users do.

python examples/digits_onnx/train.py build/digits_onnx/digits.npz build/digits_onnx/digits.joblib
"""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import numpy as np
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(source: Path, target: Path) -> None:
    digits = np.load(source)
    pixels = digits["images"].reshape(len(digits["images"]), -1)
    model = make_pipeline(StandardScaler(), MLPClassifier((64,), max_iter=200, tol=1e-3, random_state=7))
    model.fit(pixels, digits["labels"])
    joblib.dump(model, target)
    print(f"{len(pixels)} digits learnt; the model is {target.stat().st_size} bytes of pickle")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
