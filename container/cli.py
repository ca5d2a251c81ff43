"""`ei`: one command for what is done with the server besides serving. A subcommand's modules are imported when it runs.

Results on stdout, talk on stderr. Exit 0 done, 1 failed, 2 usage.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from container import commands_sizing as sizing
from container.accelerator.cli import accelerator
from container.errors import ContainerError
from onnx_import import cli as importing
from onnx_import.errors import OnnxImportError
from serving.errors import ServingError, StartError


def main(argv: Sequence[str] | None = None) -> None:
    """Run `ei` and exit with its status."""
    try:
        status = ei.main(args=None if argv is None else list(argv), prog_name="ei", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except (ContainerError, StartError, ServingError, OnnxImportError) as error:
        print(f"ei: {error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(status or 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog="Example: ei build && ei run ./model")
def ei() -> None:
    """Build the image of the model server, run it, look into it; convert models for it."""


@ei.command(epilog="Example: ei settings --json")
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for a program.")
def settings(as_json: bool) -> None:
    """Print every setting of the server with its value here, and where that came from."""
    from serving import settings as knobs

    rows = knobs.table(knobs.read())
    if as_json:
        print(json.dumps([dict(zip(("name", "value", "source"), row, strict=True)) for row in rows], indent=2))
        return
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, source in rows:
        print(f"{name:{widths[0]}}  {value:{widths[1]}}  {source}")


@ei.command(epilog="Example: ei build --image tf --base debian:bookworm-slim")
@click.option("--image", type=click.Choice(["mxnet", "tf"]), help="Only this one [both].")
@click.option("--base", default="", help="The base image [EI_BASE; debian:bookworm-slim, or one made of Debian's packages].")
@click.option("--mxnet-wheel", default="", help="A build of MXNet to take the stock wheel's place [EI_MXNET_WHEEL].")
@click.option("--tfs-binary", default="", help="A build of TensorFlow Serving, which then runs the models [EI_TFS_BINARY].")
@click.option("--tag", default="", help="The image's name, where it is one image [ei-mxnet:latest, ei-tf:latest].")
@click.option("--no-cache", is_flag=True, help="Build every step anew.")
def build(**given: object) -> None:
    """Build the images; print the name, id and size of each."""
    from container import engine, images

    if given["tag"] and not given["image"]:
        raise click.UsageError("--tag names one image: say which by --image")
    chosen = [image for image in images.IMAGES.values() if given["image"] in (None, image.framework)]
    for image in chosen:
        default = images.Choices.from_environment(image)
        own = str(given[image.own.lower()])
        choices = images.Choices(str(given["base"]) or default.base, own or default.own, str(given["tag"]))
        name = images.build(image, choices, use_cache=not given["no_cache"])
        digest, size = images.describe(engine.ensure(), name)
        print(f"{name} {digest} {size / 1e6:.1f} MB", flush=True)


@ei.command(epilog="Example: ei run ./model --port 8081 -e EI_LOG_FORMAT=json")
@click.argument("model")
@click.option("--image", default="", help="The image: mxnet, tf or any name [what the folder holds decides].")
@click.option("--port", default=8080, type=click.IntRange(1, 65535), help="The port on this machine [8080].")
@click.option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="An environment variable of the server.")
@click.option("--accelerator", "kind", default="", metavar="TYPE", help="Beside it an accelerator of this type [none].")
@click.option("--dry-run", is_flag=True, help="Print the docker command, and stop.")
@click.pass_context
def run(ctx: click.Context, /, **given: object) -> int:
    """Serve the folder MODEL in the image, as SageMaker would."""
    from container import commands, engine, images, local

    # `make run MODEL=folder` hands the assignment on as it was typed.
    model = Path(str(given["model"]).removeprefix("MODEL="))
    env = given["env"]
    assert isinstance(env, tuple)
    image = images.name_of(str(given["image"])) or local.image_for(model)
    chosen = local.Local(image, model, int(str(given["port"])), env)
    if given["kind"]:
        from container.accelerator import pair, up

        return up.up(pair.of(chosen, str(given["kind"])), dry_run=bool(given["dry_run"]))
    if given["dry_run"]:
        commands.show(local.command("docker", chosen))
        return 0
    client = engine.ensure()
    images.describe(client, chosen.image)
    return local.run(client, chosen)


@ei.command(epilog="Example: ei size --image tf --json")
@click.option("--image", default="", help="The image: mxnet, tf or any name [both].")
@click.option("--json", "as_json", is_flag=True, help="A list of objects with bytes, for a program.")
def size(image: str, as_json: bool) -> None:
    """Print where the images' megabytes lie, layer by layer and package by package."""
    from container import engine, images, sizes

    names = [images.name_of(image)] if image else [known.name for known in images.IMAGES.values()]
    found = [sizes.measure(engine.ensure(), name) for name in names]
    if as_json:
        print(json.dumps([asdict(measured) for measured in found], indent=2))
    else:
        print("\n\n".join(sizes.text(measured) for measured in found))


@ei.command(epilog="Example: ei freeze models/digits/1 models/digits/2")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--signature", "signatures", multiple=True, help="Keep this signature alone; may be repeated [all].")
@click.option("--tolerance", type=float, help="The largest error, as a share of an output's largest number [0.0001].")
@click.option("--samples", type=click.Path(path_type=Path), help="An .npz of inputs by name to compare on [made-up ones].")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the report to this file, for a program.")
def freeze(source: Path, target: Path, signatures: tuple[str, ...], tolerance: float | None, **files: Path | None) -> int:
    """Fold a SavedModel's variables into an optimised graph, and print how far its answers drift and how fast it is.

    SOURCE and TARGET are version folders. Where the drift is over the tolerance nothing is left in TARGET.
    """
    from serving.backends import tensorflow_freeze as freezing

    error = freezing.TOLERANCE if tolerance is None else tolerance
    return freezing.main(source, target, freezing.Choices(signatures, error, files["samples"], files["json_file"]))


@ei.command("describe-accelerators", epilog="Example: ei describe-accelerators --json")
@click.option("-j", "--json", "as_json", is_flag=True, help="An object, as Elastic Inference's tool of this name printed it.")
def describe_accelerators(as_json: bool) -> int:
    """List the accelerators that the environment attaches this host to, and how they are."""
    from serving.accelerators import describe

    return describe.main(["-j"] if as_json else [])


for command in (importing.convert, importing.ops, importing.export, accelerator, sizing.advise, sizing.bench, sizing.sweep):
    ei.add_command(command)


if __name__ == "__main__":
    main()
