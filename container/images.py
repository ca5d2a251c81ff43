"""The images, and `build`: wheels, engine, base -> docker build -> ei-mxnet:latest, ei-tf:latest.

`python -m container.images COMMAND` is `ei COMMAND`.
"""

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


@dataclass(frozen=True)
class Image:
    """One image: what it is built from, what it may weigh, and what of the user's can take the place of its framework."""

    framework: str
    """As `IMAGE=` names it; the Dockerfile and the image are called after it."""
    lock: str
    """Of requirements/: the wheels in it."""
    limit_mb: int
    """Megabytes (10^6 bytes) that it may have."""
    own: str
    """The build argument, and variable, that names a file of the user's."""
    own_kind: str
    own_suffix: str

    @property
    def name(self) -> str:
        """What it is called where the user gives no other name."""
        return f"ei-{self.framework}:latest"

    @property
    def dockerfile(self) -> str:
        """Its recipe, in the checkout's root."""
        return f"Dockerfile.{self.framework}"

    @property
    def wheels(self) -> Path:
        """The folder that its build takes wheels from."""
        return wheelhouse.FOLDER / self.framework

    @property
    def locks(self) -> tuple[Path, ...]:
        """What must lie in that folder."""
        return wheelhouse.ROOT / "requirements" / self.lock, wheelhouse.PIP_LOCK


IMAGES = {
    image.framework: image
    for image in (
        Image("mxnet", "mxnet.txt", 415, "MXNET_WHEEL", "wheel", ".whl"),
        Image("tf", "tensorflow.txt", 1100, "TFS_BINARY", "model server", ""),
    )
}


def name_of(chosen: str) -> str:
    """The image's name: of one of ours by its framework, any other as it stands."""
    return IMAGES[chosen].name if chosen in IMAGES else chosen


@dataclass(frozen=True)
class Choices:
    """What a user may choose about a build: the base image, a file in the place of the framework's, the image's name."""

    base: str = ""
    own: str = ""
    tag: str = ""

    @classmethod
    def from_environment(cls, image: Image) -> Choices:
        """EI_BASE and, of an MXNet image, EI_MXNET_WHEEL; or BASE and MXNET_WHEEL, which `make build BASE=...` passes on."""
        given = settings.environment()
        return cls(*(given.get(f"EI_{name}") or given.get(name) or "" for name in ("BASE", image.own)))


def build(image: Image, choices: Choices, use_cache: bool = True) -> str:
    """Build the image; its name. ContainerError, with the builder's words above it, where a step fails."""
    if not (wheelhouse.ROOT / image.dockerfile).is_file():
        raise ContainerError(f"{wheelhouse.ROOT} holds no {image.dockerfile}", "build from a checkout of the repository")
    _check(image, choices.own)
    name = choices.tag or image.name
    client = engine.ensure()
    wheelhouse.fill(image.wheels, image.locks)
    base_image = base.ensure(client, choices.base)
    with _among_the_wheels(image, choices.own) as own:
        arguments = {"BASE": base_image, image.own: own, "VERSION": metadata.version("ei")}
        command = [client, "build", "--file", image.dockerfile, "--tag", name]
        command += [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
        if base_image == base.made_name():
            # It has all that the build asks Debian for.
            command += ["--network", "none"]
        if not use_cache:
            command.append("--no-cache")
        commands.run([*command, str(wheelhouse.ROOT)], "see the failed step above")
    return name


@contextmanager
def _among_the_wheels(image: Image, own: str) -> Iterator[str]:
    """A user's file, beside the image's wheels for as long as the build takes; its path there, empty for none."""
    if not own:
        yield ""
        return
    # Not among the locked ones: pip would take a local version (1.9.1+x) for a better one, and miss its hash in the lock.
    folder = image.wheels / "own"
    folder.mkdir(exist_ok=True)
    copy = Path(shutil.copy(own, folder))
    try:
        yield copy.relative_to(image.wheels).as_posix()
    finally:
        shutil.rmtree(folder)


def _check(image: Image, own: str) -> None:
    path = Path(own)
    if own and not (path.is_file() and path.name.endswith(image.own_suffix)):
        raise ContainerError(f"{own} is not a {image.own_kind} file", f"name one: {image.own}=path/to/file{image.own_suffix}")


def describe(client: str, name: str) -> tuple[str, int]:
    """The id of an image and its bytes; ContainerError where the engine has none of this name."""
    found = json.loads(
        commands.output([client, "image", "inspect", name], f"build it first (`make build`), or name another than {name}")
    )
    return str(found[0]["Id"]), int(found[0]["Size"])


if __name__ == "__main__":
    from container.cli import main

    main()
