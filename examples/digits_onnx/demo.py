"""A scikit-learn model served by MXNet, by way of ONNX: train, convert, verify, serve, ask over HTTP, stop.

    digits.npz -> train.py -> digits.joblib -> ei convert -> an MXNet model's directory -> serve -> POST /invocations, 360 times

`ei convert` exports the pickle with scikit-learn's own exporter, lowers the ONNX graph to MXNet's operators, and compares the
answers of both. Exits with 1 where a step fails or the held-out digits are recognised worse than they should be.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pictures import show
from served import say, server

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build" / "digits_onnx"
WORST_ACCURACY = 0.95
Array: TypeAlias = "np.ndarray[Any, Any]"


def main() -> int:
    npz, pickled, converted = BUILD / "digits.npz", BUILD / "digits.joblib", BUILD / "model"
    say("reading the handwritten digits that scikit-learn ships")
    run(sys.executable, HERE.parent / "digits" / "digits.py", npz)
    say("training a perceptron with scikit-learn")
    run(sys.executable, HERE / "train.py", npz, pickled)
    shutil.rmtree(converted, ignore_errors=True)
    # Loading a pickle runs the code in it: this one is our own.
    convert = [Path(sys.executable).with_name("ei"), "convert", pickled, converted, "--trust"]
    say(f"converting it: {' '.join(map(str, convert))}")
    run(*convert)
    digits = np.load(npz)
    images, labels = digits["held_out_images"], digits["held_out_labels"]
    with server(converted, BUILD / "serve.log") as port:
        say(f"sending {len(images)} held-out digits to http://127.0.0.1:{port}/invocations")
        begin = time.monotonic()
        guesses = ask(port, images)
        elapsed = time.monotonic() - begin
    show(images, labels, guesses)
    accuracy = float((guesses == labels).mean())
    print(f"{(guesses == labels).sum()} of {len(labels)} right: accuracy {accuracy:.3f}, in {elapsed:.1f} s")
    return 0 if accuracy >= WORST_ACCURACY else 1


def run(*command: str | Path) -> None:
    done = subprocess.run([str(word) for word in command], check=False)
    if done.returncode:
        raise SystemExit(f"that failed with exit {done.returncode}")


def ask(port: int, images: Array) -> Array:
    """The label that the model gives each image: one request an image, over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    guesses = []
    for image in images:
        connection.request("POST", "/invocations", json.dumps([image.ravel().tolist()]), {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise SystemExit(f"the server answered {response.status}: {answer.decode()}")
        (label,) = json.loads(answer)["label"]
        guesses.append(label)
    connection.close()
    return np.array(guesses)


if __name__ == "__main__":
    sys.exit(main())
