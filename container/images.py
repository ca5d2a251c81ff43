"""`build`: wheels, engine, base -> docker build -> ei-mxnet:latest. `python -m container.images COMMAND` is `ei COMMAND`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from container import base, commands, engine, wheelhouse
from container.errors import ContainerError
from serving import settings

IMAGE = "ei-mxnet:latest"
DOCKERFILE = "Dockerfile.mxnet"
LIMIT_MB = 400
"""Megabytes (10^6 bytes) that the image may have."""


@dataclass(frozen=True)
class Choices:
    """What a user may choose about a build: the base image, a wheel in the place of MXNet's, the image's name."""

    base: str = ""
    mxnet_wheel: str = ""
    tag: str = IMAGE

    @classmethod
    def from_environment(cls) -> Choices:
        """EI_BASE and EI_MXNET_WHEEL, or BASE and MXNET_WHEEL, which `make build BASE=...` passes on."""
        given = settings.environment()
        return cls(
            base=given.get("EI_BASE") or given.get("BASE") or "",
            mxnet_wheel=given.get("EI_MXNET_WHEEL") or given.get("MXNET_WHEEL") or "",
        )


def build(choices: Choices, use_cache: bool = True) -> str:
    """Build the image; its id. ContainerError, with the builder's words above it, where a step fails."""
    if not (wheelhouse.ROOT / DOCKERFILE).is_file():
        raise ContainerError(f"{wheelhouse.ROOT} holds no {DOCKERFILE}", "build from a checkout of the repository")
    _check(choices.mxnet_wheel)
    client = engine.ensure()
    wheelhouse.fill()
    base_image = base.ensure(client, choices.base)
    with _in_the_wheelhouse(choices.mxnet_wheel) as wheel:
        arguments = {"BASE": base_image, "MXNET_WHEEL": wheel, "VERSION": metadata.version("ei")}
        command = [client, "build", "--file", DOCKERFILE, "--tag", choices.tag]
        command += [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        if base_image == base.made_name():
            # It has all that the build asks Debian for.
            command += ["--network", "none"]
        if not use_cache:
            command.append("--no-cache")
        commands.run([*command, str(wheelhouse.ROOT)], "see the failed step above")
    return describe(client, choices.tag)[0]


@contextmanager
def _in_the_wheelhouse(wheel: str) -> Iterator[str]:
    """A user's wheel, in the wheelhouse for as long as the build takes; its path there, empty for none."""
    if not wheel:
        yield ""
        return
    # Not among the locked ones: pip would take a local version (1.9.1+x) for a better one, and miss its hash in the lock.
    own = wheelhouse.FOLDER / "own"
    own.mkdir(exist_ok=True)
    copy = Path(shutil.copy(wheel, own))
    try:
        yield copy.relative_to(wheelhouse.FOLDER).as_posix()
    finally:
        shutil.rmtree(own)


def _check(wheel: str) -> None:
    path = Path(wheel)
    if wheel and (path.suffix != ".whl" or not path.is_file()):
        raise ContainerError(f"{wheel} is not a wheel file", "name an MXNet build: MXNET_WHEEL=path/to/mxnet-....whl")


def describe(client: str, image: str) -> tuple[str, int]:
    """The id of an image and its bytes; ContainerError where the engine has none of this name."""
    found = json.loads(
        commands.output([client, "image", "inspect", image], f"build it first (`make build`), or name another than {image}")
    )
    return str(found[0]["Id"]), int(found[0]["Size"])


if __name__ == "__main__":
    from container.cli import main

    main()
