"""A local pair: the image as an accelerator of a type, and beside it the image with the model, attached to it.

    MODEL -> pair/: compose.yaml, token, ca.pem, accelerator.pem ... -> docker compose up | two docker runs on a network

The accelerator listens on the pair's own network, so it has TLS and a token as any other that is reached over one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from container import commands, local
from container.accelerator import certificates
from container.errors import ContainerError
from serving.accelerators import catalog
from serving.accelerators.catalog import AcceleratorType

HOST, PORT = "accelerator", 8500
SECRETS = "/run/ei"
FRONT_MEMORY = 256 << 20
"""Of the accelerator's container, for what is not the engine's: the process that speaks to clients."""
HEALTH = "/opt/ei_health_check/bin/health_check"
INTERVAL, TIMEOUT, RETRIES, GRACE = 5, 15, 3, 60


@dataclass(frozen=True)
class Pair:
    """The model's container, the accelerator's type, and the folder that their files are in."""

    model: local.Local
    kind: AcceleratorType
    folder: Path
    options: tuple[str, ...] = ()
    """More flags of the accelerator."""

    @property
    def compose_file(self) -> Path:
        """What `docker compose` reads."""
        return self.folder / "compose.yaml"

    @property
    def token_env(self) -> Path:
        """The token as a variable, for both containers: a file, so that no command line shows it."""
        return (self.folder / "token.env").resolve()

    @property
    def memory(self) -> int:
        """Bytes that the accelerator's container may have: the third wall around its engines."""
        return self.kind.memory + FRONT_MEMORY

    def accelerator_command(self) -> list[str]:
        """What the accelerator's container runs."""
        listen = ["--type", self.kind.name, "--host", "0.0.0.0", "--port", str(PORT)]
        guard = [
            "--token-file",
            f"{SECRETS}/token",
            "--tls-cert",
            f"{SECRETS}/{HOST}.pem",
            "--tls-key",
            f"{SECRETS}/{HOST}.key",
        ]
        return ["accelerator", *listen, *guard, *self.options]

    def attached(self) -> list[str]:
        """What the environment of both containers says, besides the token: the accelerator's asks itself for its health."""
        here = [f"EI_ACCELERATORS={HOST}:{PORT}", f"EI_ACCELERATOR_CA={SECRETS}/ca.pem"]
        return [*here, "SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT=true"]

    def files(self, *names: str) -> list[str]:
        """Files of the folder as volumes."""
        return [f"{(self.folder / name).resolve()}:{SECRETS}/{name}:ro" for name in names]

    def accelerator_files(self) -> list[str]:
        """What the accelerator's container sees."""
        return self.files("token", "ca.pem", f"{HOST}.pem", f"{HOST}.key")


def of(model: local.Local, kind: str, folder: Path | None = None, options: Sequence[str] = ()) -> Pair:
    """The pair of a model and of an accelerator of this type, in a folder beside the model if none is named.

    The guide's misprint of a type is taken, and told.
    """
    if catalog.is_misprinted(kind):
        commands.say(f"{kind} is a misprint of Amazon's guide: taken for {catalog.corrected(kind.strip())}")
    beside = model.model.resolve()
    return Pair(model, catalog.find(kind), folder or beside.with_name(f"{beside.name}-accelerator"), tuple(options))


def prepare(pair: Pair) -> None:
    """Write the folder: secrets once, compose.yaml anew. ContainerError where the model is no folder."""
    if not pair.model.model.is_dir():
        raise ContainerError(f"{pair.model.model} is not a directory", "name the folder that holds the model")
    pair.folder.mkdir(parents=True, exist_ok=True)
    if not (pair.folder / f"{HOST}.pem").is_file():
        certificates.make(HOST, pair.folder)
    token = certificates.write_token(pair.folder / "token")
    certificates.write_private(pair.token_env, f"EI_ACCELERATOR_TOKEN={token}\n")
    pair.compose_file.write_text(compose(pair))


def compose(pair: Pair) -> str:
    """The text of compose.yaml, for Compose's specification as for docker-compose 1.29."""
    model = pair.model
    return COMPOSE.format(
        image=_quoted(model.image),
        command=json.dumps(pair.accelerator_command()),
        memory=pair.memory,
        kind=pair.kind.name,
        token=_quoted(str(pair.token_env)),
        attached=_listed(pair.attached()),
        accelerator_files=_listed(pair.accelerator_files()),
        health=json.dumps(["CMD", HEALTH]),
        interval=INTERVAL,
        timeout=TIMEOUT,
        retries=RETRIES,
        grace=GRACE,
        published=_quoted(f"{model.port}:{local.PORT}"),
        variables=_listed([*pair.attached(), *model.env]),
        model_files=_listed([f"{model.model.resolve()}:/opt/ml/model:ro", *pair.files("ca.pem")]),
    )


COMPOSE = """\
# Written by `ei accelerator compose`: an accelerator of a type, and a model's container that is attached to it.
services:
  accelerator:
    image: {image}
    command: {command}
    # {kind} and what the process that speaks to clients takes.
    mem_limit: {memory}
    env_file: [{token}]
    environment:
{attached}
    volumes:
{accelerator_files}
    healthcheck: {{test: {health}, interval: {interval}s, timeout: {timeout}s, retries: {retries}, start_period: {grace}s}}
  model:
    image: {image}
    command: ["serve"]
    ports: [{published}]
    env_file: [{token}]
    environment:
{variables}
    volumes:
{model_files}
    stop_grace_period: 30s
    depends_on:
      accelerator: {{condition: service_healthy}}
"""


def _quoted(text: str) -> str:
    """A string as YAML, which JSON's strings are; Compose takes a dollar for a variable's."""
    return json.dumps(text.replace("$", "$$"))


def _listed(words: Sequence[str]) -> str:
    return "\n".join(f"      - {_quoted(word)}" for word in words)
