"""PyTorch's models to served models: what `make test-full` adds, since PyTorch is a gigabyte. It is installed into .venv/torch.

The processes that train and export have that folder on their path; the test and the server have not.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnx_import.convert import convert
from tests.integration.conftest import starting
from tests.integration.faults.server import ROOT
from tests.integration.frameworks.conftest import ask

TORCH = Path(sys.prefix) / "torch"
TRAIN = """
import sys
import numpy as np, onnx, torch
from sklearn.datasets import load_digits
from torch import nn
from onnx_import import frameworks

folder = sys.argv[1]
torch.manual_seed(0)
data = load_digits()
images = torch.tensor(data.images[:, None] / 16, dtype=torch.float32)
labels = torch.tensor(data.target)

class Reader(nn.Module):
    '''Reads a digit row by row.'''

    def __init__(self):
        super().__init__()
        self.rows, self.last = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 10)

    def forward(self, image):
        return self.last(self.rows(image[:, 0])[0][:, -1])

class Attention(nn.Module):
    '''Looks at a digit's rows, one with another.'''

    def __init__(self):
        super().__init__()
        self.rows, self.last = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(64, 10)

    def forward(self, image):
        return self.last(self.rows(image[:, 0]).flatten(1))

layers = [nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)]
answers = {"images": images[:60].numpy(), "labels": labels[:60].numpy()}
for name, net in {"convolution": nn.Sequential(*layers), "reader": Reader(), "attention": Attention()}.items():
    step = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(40):
        step.zero_grad()
        nn.functional.cross_entropy(net(images[60:]), labels[60:]).backward()
        step.step()
    net.eval()
    answers[name] = net(images[:60]).detach().numpy()
    batch = torch.export.Dim("batch")
    program = torch.export.export(net, (images[:2],), dynamic_shapes=({0: batch},))
    torch.export.save(program, f"{folder}/{name}.pt2")
    if name == "convolution":
        net.train()
        onnx.save(frameworks.export(net, example=images[:2]), f"{folder}/module.onnx")
        assert net.training, "exporting leaves a module in its mode"
        answers["module"] = answers[name]
np.savez(f"{folder}/answers.npz", **answers)
"""


class Touching:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Run code on loading, as a hostile pickle does."""
        return eval, (f"open({str(self.path)!r}, 'w').close()",)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """A command whose Python finds PyTorch."""
    env = {**os.environ, "PYTHONPATH": f"{TORCH}:{ROOT}"}
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models trained on the digits, as .pt2 files, one also exported from the module itself, and their answers."""
    folder = tmp_path_factory.mktemp("torch")
    done = run("-c", TRAIN, folder)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Starts servers, which do not see PyTorch."""
    with starting(tmp_path_factory.mktemp("logs")) as begin:
        yield begin


@pytest.mark.parametrize("name", ["convolution", "reader", "attention"])
def test_exported_programs(trained: Path, tmp_path: Path, start: Any, name: str) -> None:
    """A .pt2 file is converted by one command, and the served model answers as PyTorch does, for another batch size."""
    done = run("-m", "container.cli", "convert", trained / f"{name}.pt2", tmp_path / "out")
    assert done.returncode == 0, done.stderr[-4000:]
    said = np.load(trained / "answers.npz")
    (scores,) = ask(start(tmp_path / "out"), {"image" if name != "convolution" else "input": said["images"]}).values()
    np.testing.assert_allclose(scores, said[name], rtol=1e-3, atol=1e-4)


def test_modules(trained: Path, tmp_path: Path, start: Any) -> None:
    """A module with an example of its input becomes a model of any batch size."""
    convert(trained / "module.onnx", tmp_path / "out")
    said = np.load(trained / "answers.npz")
    (scores,) = ask(start(tmp_path / "out"), {"input": said["images"]}).values()
    np.testing.assert_allclose(scores, said["module"], rtol=1e-3, atol=1e-4)


def test_code_in_a_program_runs_only_where_it_is_trusted(trained: Path, tmp_path: Path) -> None:
    """A .pt2 file whose pickled inputs run code is refused before they do; `--trust` lets them."""
    hostile, trace = tmp_path / "hostile.pt2", tmp_path / "ran"
    with zipfile.ZipFile(trained / "convolution.pt2") as good, zipfile.ZipFile(hostile, "w") as bad:
        for name in good.namelist():
            is_pickled = "/sample_inputs/" in name
            bad.writestr(name, pickle.dumps(Touching(trace)) if is_pickled else good.read(name))
    done = run("-m", "container.cli", "convert", hostile, tmp_path / "out")
    assert done.returncode == 1
    assert "--trust" in done.stderr
    assert not trace.exists()
    run("-m", "container.cli", "convert", hostile, tmp_path / "out", "--trust")
    assert trace.exists()
