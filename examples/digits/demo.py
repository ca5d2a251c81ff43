"""Handwritten digits from end to end: train, pack, serve, ask over HTTP, stop.

    digits.py -> digits.npz -> train.py -> model.tar.gz -> a model directory -> serve -> POST /invocations, 360 times

The server is the product's own, started as a user would start it; this process only speaks HTTP with it. Exits with 1 where
a step fails or the held-out digits are recognised worse than they should be.
"""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from serving.models.archive import extract

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build" / "digits"
START_SECONDS = 60
STOP_SECONDS = 30
SHOWN = 6
WORST_ACCURACY = 0.95
Array: TypeAlias = "np.ndarray[Any, Any]"
INK = " .:-=+*#%@"


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
    with server(directory) as port:
        say(f"sending {len(images)} held-out digits to http://127.0.0.1:{port}/invocations")
        begin = time.monotonic()
        guesses = ask(port, images)
        elapsed = time.monotonic() - begin
    show(images, labels, guesses)
    accuracy = float((guesses == labels).mean())
    print(f"{(guesses == labels).sum()} of {len(labels)} right: accuracy {accuracy:.3f}, in {elapsed:.1f} s")
    return 0 if accuracy >= WORST_ACCURACY else 1


def say(text: str) -> None:
    print(f"==> {text}", flush=True)


def run(script: str, *arguments: Path) -> None:
    subprocess.run([sys.executable, str(HERE / script), *map(str, arguments)], check=True)


@contextmanager
def server(directory: Path) -> Iterator[int]:
    """The product's own server on a free port, ready; stopped by SIGTERM, which it must answer with exit 0."""
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("serve")),
        "--model",
        str(directory),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    log = BUILD / "serve.log"
    say(f"serving it: {' '.join(command)}")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_ready(process, port, log)
        yield port
        say("stopping the server")
        process.send_signal(signal.SIGTERM)
        if process.wait(STOP_SECONDS) != 0:
            raise SystemExit(f"the server ended with {process.returncode}:\n{log.read_text()[-2000:]}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until /ping answers 200: the next invocation would be answered."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise SystemExit(f"the server did not start:\n{log.read_text()[-2000:]}")


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


def show(images: Array, labels: Array, guesses: Array) -> None:
    """The first digits as pictures side by side, and the first of those that the model took for others."""
    print("the first digits:")
    draw(range(SHOWN), images, labels, guesses)
    wrong = np.flatnonzero(guesses != labels)[:SHOWN]
    if len(wrong):
        print("taken for others:")
        draw(wrong, images, labels, guesses)


def draw(chosen: Iterable[int], images: Array, labels: Array, guesses: Array) -> None:
    for row in range(images.shape[2]):
        inked = ["".join(INK[round(float(value) * (len(INK) - 1))] * 2 for value in images[at, 0, row]) for at in chosen]
        print("  " + "   ".join(inked))
    print("  " + "   ".join(f"{f'model says {guesses[at]}':<16}" for at in chosen))
    print("  " + "   ".join(f"{f'label      {labels[at]}':<16}" for at in chosen) + "\n")


if __name__ == "__main__":
    sys.exit(main())
