"""The models that are served, the bodies that are sent and the right answers to them, made once below build/bench.

    tiny: 64 -> 64 -> 10, a multi-layer perceptron       big: ResNet-50 of Gluon's model zoo, random weights

The answers are those of an executor of MXNet's own, not of our backend's.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks import harness

SHAPES: dict[str, tuple[int, ...]] = {"tiny": (64,), "big": (3, 224, 224)}
CONTENT_TYPES = {"json": "application/json", "npy": "application/x-npy"}
BODIES = 8
TOLERANCE = 1e-3
"""Of the largest number of an answer: what oneDNN's choice of kernels may change."""


@dataclass(frozen=True)
class Model:
    """A model directory, with eight bodies of each content type and the answers that are due."""

    name: str
    folder: Path

    @property
    def directory(self) -> Path:
        """What a server is given."""
        return self.folder / "model"

    def body_path(self, kind: str, number: int | str) -> Path:
        """The file of a body; `%d` for the number gives the pattern of all."""
        return self.folder / "bodies" / f"{number}.{kind}"

    def body(self, kind: str, number: int) -> bytes:
        """One of the bodies."""
        return self.body_path(kind, number).read_bytes()

    @cached_property
    def expected(self) -> list[list[float]]:
        """The numbers that are due for each body."""
        answers: list[list[float]] = json.loads((self.folder / "expected.json").read_text())
        return answers

    def agrees(self, reply: bytes, number: int) -> bool:
        """Whether a JSON reply holds the numbers that are due for that body, within the tolerance."""
        try:
            return close(numbers(json.loads(reply)), self.expected[number])
        except (ValueError, TypeError):
            return False


def numbers(answer: Any) -> list[float]:
    """The numbers of a reply in order, out of nested lists or an object with one value."""
    if isinstance(answer, dict) and len(answer) == 1:
        return numbers(next(iter(answer.values())))
    if isinstance(answer, list):
        return [number for item in answer for number in numbers(item)]
    return [float(answer)]


def close(got: list[float], due: list[float]) -> bool:
    """Whether two answers are the same within the tolerance."""
    scale = max(map(abs, due))
    return len(got) == len(due) and all(abs(a - b) <= TOLERANCE * scale for a, b in zip(got, due, strict=True))


def prepare(name: str, maker: str = "models") -> Model:
    """The model of that name, made first by that module of this package where it is not there."""
    model = Model(name, harness.BUILD / "models" / name)
    if not (model.folder / "expected.json").exists():
        harness.say(f"making the {name} model")
        harness.module(maker, name)
    return model


def make(name: str) -> None:
    """Write the model, its bodies and the answers; the answers last, since they say that all is there."""
    import numpy as np

    from serving.backends.mxnet_import import import_mxnet

    mx = import_mxnet()
    shape = SHAPES[name]
    model = Model(name, harness.BUILD / "models" / name)
    model.directory.mkdir(parents=True, exist_ok=True)
    model.body_path("json", 0).parent.mkdir(exist_ok=True)
    mx.random.seed(7)
    net = _tiny(mx) if name == "tiny" else mx.gluon.model_zoo.vision.resnet50_v1()
    net.initialize(mx.init.Xavier())
    net.hybridize()
    net(mx.nd.zeros((1, *shape)))
    net.export(str(model.directory / "model"))
    (model.directory / "model-shapes.json").write_text(json.dumps([{"name": "data", "shape": [1, *shape]}]))
    rows = made_up(shape)
    for number, row in enumerate(rows):
        model.body_path("json", number).write_text(json.dumps(row.tolist(), separators=(",", ":")))
        np.save(model.body_path("npy", number), row)
    finish(model, _answers(mx, model.directory, rows))


def made_up(shape: tuple[int, ...]) -> list[Any]:
    """The rows that the bodies hold, one each, by chance and of different scales."""
    import numpy as np

    random = np.random.default_rng(7)
    return [random.standard_normal((1, *shape), dtype="float32") * (1 + number / 4) for number in range(BODIES)]


def finish(model: Model, arrays: list[Any]) -> None:
    """Write the answers that are due; SystemExit where two bodies have the same."""
    answers = [answer.ravel().tolist() for answer in arrays]
    if any(close(one, other) for at, one in enumerate(answers) for other in answers[:at]):
        raise SystemExit("two bodies have the same answer: a mix-up of answers would not be seen")
    (model.folder / "expected.json").write_text(json.dumps(answers))


def _tiny(mx: Any) -> Any:
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Dense(64, activation="relu"), mx.gluon.nn.Dense(10), mx.gluon.nn.HybridLambda("softmax"))
    return net


def _answers(mx: Any, directory: Path, rows: list[Any]) -> list[Any]:
    """What a plain executor answers to each row."""
    symbol, args, aux = mx.model.load_checkpoint(str(directory / "model"), 0)
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=rows[0].shape)
    executor.copy_params_from(args, aux)
    return [executor.forward(is_train=False, data=mx.nd.array(row))[0].asnumpy() for row in rows]


if __name__ == "__main__":
    make(sys.argv[1])
    print(json.dumps(sys.argv[1]))
