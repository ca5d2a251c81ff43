"""`size`: where the megabytes of an image lie, layer by layer and package by package, counted inside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from container import commands

CENSUS = Path(__file__).parent / "image" / "census.py"


@dataclass(frozen=True)
class Sizes:
    """Bytes of an image: in total, of its layers from the lowest up, of its packages."""

    image: str
    total: int
    layers: list[tuple[str, int]]
    packages: dict[str, int]


def measure(client: str, image: str) -> Sizes:
    """Ask the engine for the layers, and a throw-away container of the image for the packages."""
    remedy = f"build it first (`make build`), or name another image than {image}"
    inspected = json.loads(commands.output([client, "image", "inspect", image], remedy))[0]
    history = commands.output([client, "history", "--no-trunc", "--human=false", "--format", "{{json .}}", image], remedy)
    layers = [(str(layer["CreatedBy"]), int(layer["Size"])) for layer in map(json.loads, history.splitlines())]
    started = [client, "run", "--rm", "--network", "none", "--entrypoint", "python", image, "-B", "-c", CENSUS.read_text()]
    packages = json.loads(commands.output(started, "the image must have python on its PATH"))
    return Sizes(image, int(inspected["Size"]), layers[::-1], packages)


def text(sizes: Sizes, smallest: int = 500_000) -> str:
    """A table for people, in megabytes of 10^6 bytes; packages below `smallest` bytes in one line."""
    lines = [f"{sizes.total / 1e6:8.1f} MB in {sizes.image}", "", "layers"]
    lines += [f"{size / 1e6:8.1f}  {' '.join(made.split())[:100]}" for made, size in sizes.layers if size]
    lines += ["", "packages"]
    ordered = sorted(sizes.packages.items(), key=lambda item: -item[1])
    lines += [f"{size / 1e6:8.1f}  {name}" for name, size in ordered if size >= smallest]
    small = [size for _, size in ordered if size < smallest]
    lines.append(f"{sum(small) / 1e6:8.1f}  {len(small)} smaller ones")
    return "\n".join(lines)
