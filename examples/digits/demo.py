"""Handwritten digits from end to end: train, pack, serve, ask over HTTP, stop.

    digits.py -> digits.npz -> train.py -> model.tar.gz -> a model directory -> serve -> POST /invocations, 360 times

The server is the product's own, started as a user would start it; this process only speaks HTTP with it. Exits with 1 where
a step fails or the held-out digits are recognised worse than they should be.
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

from serving.models.archive import extract

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pictures import show
from served import say, server

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build" / "digits"
WORST_ACCURACY = 0.95
Array: TypeAlias = "np.ndarray[Any, Any]"


def main() -> int:
    npz, archive = BUILD / "digits.npz", BUILD / "model.tar.gz"
    say("reading the handwritten digits that scikit-learn ships")
    run("digits.py", npz)
    say("training a small convolutional network")
    run("train.py", npz, archive)
    shutil.rmtree(BUILD / "unpacked", ignore_errors=True)
    directory = extract(archive, BUILD / "unpacked")
    digits = np.load(npz)
    images, labels = digits["held_out_images"], digits["held_out_labels"]
    with server(directory, BUILD / "serve.log") as port:
        say(f"sending {len(images)} held-out digits to http://127.0.0.1:{port}/invocations")
        begin = time.monotonic()
        guesses = ask(port, images)
        elapsed = time.monotonic() - begin
    show(images, labels, guesses)
    accuracy = float((guesses == labels).mean())
    print(f"{(guesses == labels).sum()} of {len(labels)} right: accuracy {accuracy:.3f}, in {elapsed:.1f} s")
    return 0 if accuracy >= WORST_ACCURACY else 1


def run(script: str, *arguments: Path) -> None:
    subprocess.run([sys.executable, str(HERE / script), *map(str, arguments)], check=True)


def ask(port: int, images: Array) -> Array:
    """The digit that the model sees in each image: one request an image, over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    guesses = []
    for image in images:
        body = json.dumps([image.tolist()])
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise SystemExit(f"the server answered {response.status}: {answer.decode()}")
        (probabilities,) = json.loads(answer)
        guesses.append(int(np.argmax(probabilities)))
    connection.close()
    return np.array(guesses)


if __name__ == "__main__":
    sys.exit(main())
