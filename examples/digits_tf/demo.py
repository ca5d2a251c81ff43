"""Two TensorFlow models from one server, end to end: train, serve, ask over HTTP, stop.

    digits.npz -> digits.py -> models/digits/1      }
                  wine.py   -> models/wine/00000001 } -> serve -> POST /invocations

Keras writes the one as TF2 does, and the other is what TF1 wrote. The server is the product's own, started as a user would start
it; this process only speaks HTTP with it. Exits with 1 where a step fails or a model is worse than it should be.
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
BUILD = HERE.parent.parent / "build" / "digits_tf"
MODELS = BUILD / "models"
WORST_ACCURACY = 0.9
Array: TypeAlias = "np.ndarray[Any, Any]"


def main() -> int:
    BUILD.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(MODELS, ignore_errors=True)
    say("reading the handwritten digits that scikit-learn ships")
    run(HERE.parent / "digits" / "digits.py", BUILD / "digits.npz")
    say("training a small convolutional network with Keras")
    run(HERE / "digits.py", BUILD / "digits.npz", MODELS / "digits" / "1")
    say("fitting a logistic regression on scikit-learn's wines, and saving it as TF1 did")
    run(HERE / "wine.py", BUILD / "wine.npz", MODELS / "wine" / "00000001")
    with server(MODELS, BUILD / "serve.log") as port:
        digits = ask_digits(port, np.load(BUILD / "digits.npz"))
        wine = ask_wine(port, np.load(BUILD / "wine.npz"))
    return 0 if min(digits, wine) >= WORST_ACCURACY else 1


def run(script: Path, *arguments: Path) -> None:
    """A script's progress lines are shown; what TensorFlow remarks goes to a file, whose end is shown where the script fails."""
    log = BUILD / f"{script.stem}.log"
    with log.open("wb") as errors:
        done = subprocess.run([sys.executable, str(script), *map(str, arguments)], stderr=errors, check=False)
    if done.returncode:
        raise SystemExit(f"{script.name} failed:\n{log.read_text()[-2000:]}")


def ask_digits(port: int, digits: Any) -> float:
    """One request a held-out digit, as JSON; the accuracy."""
    images, labels = digits["held_out_images"], digits["held_out_labels"]
    say(f"sending {len(images)} held-out digits to http://127.0.0.1:{port}/invocations, model digits")
    begin = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    bodies = (json.dumps({"instances": [image.transpose(1, 2, 0).tolist()]}) for image in images)
    answers = [post(connection, "digits", body, "application/json") for body in bodies]
    elapsed = time.monotonic() - begin
    connection.close()
    guesses = np.array([int(np.argmax(answer["predictions"][0])) for answer in answers])
    show(images, labels, guesses)
    return told("digits", guesses, labels, elapsed)


def ask_wine(port: int, wine: Any) -> float:
    """One request for all held-out wines, as CSV; the accuracy."""
    features, labels = wine["held_out_features"], wine["held_out_labels"]
    say(f"sending {len(features)} held-out wines as CSV, model wine")
    begin = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = "\n".join(",".join(map(str, row)) for row in features.tolist())
    answers = post(connection, "wine", body, "text/csv")["predictions"]
    elapsed = time.monotonic() - begin
    connection.close()
    for answer, label in zip(answers[:3], labels, strict=False):
        shares = ", ".join(f"{share:.2f}" for share in answer["probabilities"])
        print(f"  model says {answer['classes']}, label {label} (probabilities {shares})")
    return told("wines", np.array([answer["classes"] for answer in answers]), labels, elapsed)


def told(what: str, guesses: Array, labels: Array, elapsed: float) -> float:
    """Print the accuracy, and return it."""
    right, accuracy = int((guesses == labels).sum()), float((guesses == labels).mean())
    print(f"{right} of {len(labels)} {what} right: accuracy {accuracy:.3f}, in {elapsed:.1f} s", flush=True)
    return accuracy


def post(connection: http.client.HTTPConnection, model: str, body: str, content_type: str) -> Any:
    """The answer of one of the models to a body."""
    headers = {"Content-Type": content_type, "X-Amzn-SageMaker-Custom-Attributes": f"tfs-model-name={model}"}
    connection.request("POST", "/invocations", body, headers)
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        raise SystemExit(f"the server answered {response.status}: {answer.decode()}")
    return json.loads(answer)


if __name__ == "__main__":
    sys.exit(main())
