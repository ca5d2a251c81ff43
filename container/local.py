"""`run`: a model directory in the image, started as SageMaker starts it: mounted read-only at /opt/ml/model, `serve`, port 8080."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from container import commands, images
from container.errors import ContainerError
from serving.models import saved_models

PORT = 8080
INTERRUPTED = 128 + signal.SIGINT


@dataclass(frozen=True)
class Local:
    """One local run: the image, the model directory, the host's port, more of the platform's environment, of docker's options."""

    image: str
    model: Path
    port: int = PORT
    env: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def image_for(model: Path) -> str:
    """The name of the image that serves what the directory holds, SavedModels or all else; ContainerError as below."""
    _check(model)
    return images.IMAGES["tf" if saved_models.find(model) else "mxnet"].name


def command(client: str, local: Local) -> list[str]:
    """The docker command of a run; ContainerError for a model that is no directory."""
    _check(local.model)
    words = [client, "run", "--rm", "--init=false", "--stop-timeout", "30", "--publish", f"{local.port}:{PORT}"]
    words += ["--volume", f"{local.model.resolve()}:/opt/ml/model:ro"]
    words += [word for pair in local.env for word in ("--env", pair)]
    return [*words, *local.options, local.image, "serve"]


def _check(model: Path) -> None:
    if not model.is_dir():
        raise ContainerError(f"{model} is not a directory", "name the folder that holds the model: make run MODEL=folder")


def run(client: str, local: Local) -> int:
    """Serve in the foreground until the server ends; its exit status. Ctrl-C stops it as the platform would."""
    words = command(client, local)
    commands.show(words)
    ask = ["curl", "-H", "Content-Type: application/json", "-d", "@request.json", f"http://localhost:{local.port}/invocations"]
    commands.say(f"when it serves: {shlex.join(ask)}\nCtrl-C stops it")
    # The terminal sends Ctrl-C to the client too, which passes it on to the server; here it only has to be survived.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        status = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=sys.stdout, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    if status == 125:
        raise ContainerError(
            "docker could not start the container", f"see above; is port {local.port} taken? --port N takes another"
        )
    return status
