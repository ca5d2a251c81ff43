"""Train a small convolutional network on the digits, and pack it as a model.tar.gz.

The archive holds what the server loads without a script: model-symbol.json, model-0000.params and model-shapes.json.

    python examples/digits/train.py build/digits/digits.npz build/digits/model.tar.gz
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from serving.backends.mxnet_import import import_mxnet

EPOCHS = 15
BATCH = 64

mx = import_mxnet()  # a plain `import mxnet` needs an older numpy than 1.24


def network() -> Any:
    body = mx.gluon.nn.HybridSequential()
    body.add(
        mx.gluon.nn.Conv2D(16, kernel_size=3, padding=1, activation="relu"),
        mx.gluon.nn.Conv2D(32, kernel_size=3, padding=1, activation="relu"),
        mx.gluon.nn.MaxPool2D(2),
        mx.gluon.nn.Dropout(0.25),
        mx.gluon.nn.Dense(64, activation="relu"),
        mx.gluon.nn.Dense(10),
    )
    body.initialize(mx.init.Xavier())
    return body


def train(body: Any, images: Any, labels: Any) -> None:
    batches = mx.gluon.data.DataLoader(mx.gluon.data.ArrayDataset(images, labels), BATCH, shuffle=True)
    loss_of = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = mx.gluon.Trainer(body.collect_params(), "adam", {"learning_rate": 2e-3})
    body.hybridize()
    for epoch in range(1, EPOCHS + 1):
        total = 0.0
        for x, y in batches:
            with mx.autograd.record():
                loss = loss_of(body(x), y)
            loss.backward()
            trainer.step(len(x))
            total += float(loss.sum().asscalar())
        print(f"  epoch {epoch:2} of {EPOCHS}: loss {total / len(images):.4f}", flush=True)


def pack(body: Any, archive: Path) -> None:
    """Export the network, with a softmax behind it, and pack the three files."""
    served = mx.gluon.nn.HybridSequential()
    served.add(body, mx.gluon.nn.HybridLambda("softmax"))
    served.hybridize()
    served(mx.nd.zeros((1, 1, 8, 8)))
    with tempfile.TemporaryDirectory() as folder:
        served.export(f"{folder}/model")  # model-symbol.json and model-0000.params
        shapes = [{"name": "data", "shape": [1, 1, 8, 8]}]  # the first number counts rows: any will do
        Path(folder, "model-shapes.json").write_text(json.dumps(shapes))
        with tarfile.open(archive, "w:gz") as tar:
            for path in sorted(Path(folder).iterdir()):
                tar.add(path, path.name)


def main(source: Path, archive: Path) -> None:
    mx.random.seed(7)
    np.random.seed(7)
    digits = np.load(source)
    body = network()
    train(body, digits["images"], digits["labels"].astype(np.float32))
    pack(body, archive)
    print(f"  {archive}: {archive.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
