"""`ei accelerator up`: start a pair, show both logs, stop it by Ctrl-C.

docker compose (or docker-compose), where there is one
else: a network -> the accelerator, in the background, until it is healthy -> the model's container, in the foreground
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from container import commands, engine, images, local
from container.accelerator import pair as pairs
from container.accelerator.pair import HEALTH, HOST, Pair
from container.errors import ContainerError

NETWORK = "ei-pair"
REMEDY = "see docker's words above"


def up(pair: Pair, dry_run: bool = False) -> int:
    """Run the pair until it ends or Ctrl-C is pressed; the exit status. Nothing of it is left behind but its folder.

    A dry run prints what docker would be asked for, where there is no Compose.
    """
    if dry_run:
        for words in (accelerator_command("docker", NETWORK, pair), local.command("docker", _attached(NETWORK, pair))):
            commands.show(words)
        return 0
    client = engine.ensure()
    images.describe(client, pair.model.image)
    pairs.prepare(pair)
    compose = composer(client)
    return _composed(compose, pair) if compose else _by_hand(client, pair)


def composer(client: str) -> list[str]:
    """The words that Compose is called by; none where it is not installed."""
    if commands.succeeds([client, "compose", "version"], timeout=30):
        return [client, "compose"]
    found = shutil.which("docker-compose")
    return [found] if found else []


def _composed(compose: list[str], pair: Pair) -> int:
    """By Compose, which shows both logs and ends the one where the other ends."""
    words = [*compose, "--file", str(pair.compose_file)]
    with _interrupts_survived():
        commands.show([*words, "up", "--abort-on-container-exit"])
        up = [*words, "up", "--abort-on-container-exit"]
        status = subprocess.run(up, stdin=subprocess.DEVNULL, stdout=sys.stdout, check=False).returncode
        commands.run([*words, "down", "--timeout", "30"], REMEDY)
    return status


def _by_hand(client: str, pair: Pair) -> int:
    """By docker itself."""
    name = f"{NETWORK}-{os.getpid()}"
    with _network(client, name), _accelerator(client, name, pair):
        return local.run(client, _attached(name, pair))


def _attached(network: str, pair: Pair) -> local.Local:
    return replace(pair.model, options=tuple(model_options(network, pair)))


def model_options(network: str, pair: Pair) -> list[str]:
    """What the model's `docker run` has more than without an accelerator."""
    return ["--network", network, *_shared(pair), *_each("--volume", pair.files("ca.pem"))]


def accelerator_command(client: str, network: str, pair: Pair) -> list[str]:
    """The `docker run` of the accelerator."""
    words = [client, "run", "--detach", "--name", f"{network}-{HOST}", "--network", network, "--network-alias", HOST]
    words += ["--memory", str(pair.memory), *_shared(pair), *_each("--volume", pair.accelerator_files())]
    words += ["--health-cmd", HEALTH, "--health-interval", "1s", "--health-timeout", f"{pairs.TIMEOUT}s"]
    words += ["--health-start-period", f"{pairs.GRACE}s"]
    return [*words, pair.model.image, *pair.accelerator_command()]


def _shared(pair: Pair) -> list[str]:
    return [*_each("--env", pair.attached()), "--env-file", str(pair.token_env)]


def _each(option: str, values: list[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


@contextmanager
def _network(client: str, name: str) -> Iterator[None]:
    commands.run([client, "network", "create", name], REMEDY)
    try:
        yield
    finally:
        commands.run([client, "network", "rm", name], REMEDY)


@contextmanager
def _accelerator(client: str, network: str, pair: Pair) -> Iterator[None]:
    """The accelerator, healthy, its log beside the model's; gone afterwards."""
    name = f"{network}-{HOST}"
    logs = None
    try:
        commands.run(accelerator_command(client, network, pair), REMEDY)
        logs = subprocess.Popen([client, "logs", "--follow", name], stdin=subprocess.DEVNULL, stdout=sys.stderr)
        if (
            not engine.wait_until(lambda: _health(client, name) != "starting", pairs.GRACE)
            or _health(client, name) != "healthy"
        ):
            raise ContainerError("the accelerator did not become healthy", "see its words above")
        yield
    finally:
        commands.run([client, "rm", "--force", "--volumes", name], REMEDY)
        if logs is not None:
            with suppress(subprocess.TimeoutExpired):
                logs.wait(10)
            logs.kill()


def _health(client: str, name: str) -> str:
    """`starting`, `healthy`, `unhealthy`, or `ended`."""
    state = "{{if .State.Running}}{{.State.Health.Status}}{{else}}ended{{end}}"
    return commands.output([client, "inspect", "--format", state, name], REMEDY).strip()


@contextmanager
def _interrupts_survived() -> Iterator[None]:
    """Ctrl-C goes to Compose as well, which ends the containers; here it only has to be survived."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
