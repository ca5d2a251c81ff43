"""`ei accelerator`: the commands. What they need is imported when they run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from container import commands
from serving.accelerators import catalog

if TYPE_CHECKING:
    from container.accelerator.attaching import Attachment
    from container.accelerator.pair import Pair

FILE = click.Path(path_type=Path, dir_okay=False)
BEHIND = "behind --"
FOLDER = click.Path(path_type=Path, file_okay=False)
TYPE_HELP = f"The accelerator's size; `ei accelerator types` lists them [{catalog.DEFAULT}]."


@click.group(epilog="Example: ei accelerator serve --type ml.eia2.medium")
def accelerator() -> None:
    """Start, attach and look into an accelerator: where models run inside a size that you choose."""


@accelerator.command(epilog="Example: ei accelerator types --json")
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for a program.")
def types(as_json: bool) -> None:
    """List the types: TFLOPS, as AWS gave them, and memory, which is enforced."""
    from container.accelerator import types as kinds

    print(json.dumps(kinds.objects(catalog.TYPES), indent=2) if as_json else kinds.table(catalog.TYPES))


@accelerator.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def serve(options: tuple[str, ...]) -> NoReturn:
    """Start an accelerator on this machine; SIGTERM or Ctrl-C ends it."""
    # Its own parser knows the options, and says them for --help.
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "serving.accelerators.server", *options])


CONNECTION = (
    click.option("--token-file", type=FILE, help="The file of the accelerator's token [EI_ACCELERATOR_TOKEN]."),
    click.option("--ca", default="", help="Whom to trust for TLS: a PEM file, or `system` [EI_ACCELERATOR_CA]."),
    click.option("--name", default="", help="The name in the certificate, where it is not the host's [EI_ACCELERATOR_NAME]."),
)


def connecting(function: Any) -> Any:
    """The command with the options of a connection."""
    for option in reversed(CONNECTION):
        function = option(function)
    return function


def attachment(given: dict[str, Any]) -> Attachment:
    """What the arguments of a command name."""
    from container.accelerator.attaching import Attachment

    return Attachment(tuple(given["addresses"]), given["token_file"], given["ca"], given["name"])


class Behind(click.Command):
    """A command that takes another's words behind `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what is behind `--` in the context, and parse the rest."""
        at = args.index("--") if "--" in args else len(args)
        own, behind = args[:at], args[at + 1 :]
        ctx.meta[BEHIND] = behind
        return super().parse_args(ctx, own)


@accelerator.command(cls=Behind, epilog='Example: eval "$(ei accelerator attach 10.0.0.7:8500 --token-file token --ca ca.pem)"')
@click.argument("addresses", nargs=-1, metavar="[HOST:PORT]...")
@connecting
@click.option("--shell", is_flag=True, help="Only the lines for the shell, without a remark.")
@click.option("--json", "as_json", is_flag=True, help="An object of variables, the token among them, for a program.")
@click.option(
    "--run", "runs", is_flag=True, help="Run the command behind `--` with the accelerators: --run -- python script.py"
)
@click.pass_context
def attach(ctx: click.Context, /, **given: Any) -> None:
    """Print what to export so that a plain `python script.py` uses the accelerators; or run it so.

    Each HOST:PORT must answer first; the first is `mx.eia(0)` [EI_ACCELERATORS, or 127.0.0.1:8500].
    """
    from container.accelerator import attaching

    command = ctx.meta[BEHIND]
    if bool(command) != given["runs"]:
        raise click.UsageError("--run takes a command behind --: ei accelerator attach --run -- python script.py")
    wanted = attachment(given)
    settings = wanted.settings()
    found = attaching.check(settings)
    if not given["shell"]:
        for info, address in zip(found, settings.accelerators, strict=True):
            commands.say(attaching.told(info, address))
    if command:
        attaching.become(wanted, command)
    print(json.dumps(wanted.variables(), indent=2) if given["as_json"] else wanted.lines())


@accelerator.command(epilog="Example: ei accelerator status 10.0.0.7:8500 --metrics 10.0.0.7:8502")
@click.argument("addresses", nargs=-1, metavar="[HOST:PORT]...")
@connecting
@click.option(
    "--metrics", default="", metavar="HOST:PORT", help="Where its metrics are, for clients and load (one accelerator)."
)
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for a program.")
def status(**given: Any) -> None:
    """Print what an accelerator holds: its models, their device, requests, times and memory."""
    from container.accelerator import attaching
    from container.accelerator import status as statuses

    found = attaching.each(attachment(given).settings(), lambda one: statuses.read(one, given["metrics"]))
    print(json.dumps([asdict(one) for one in found], indent=2) if given["as_json"] else "\n\n".join(map(statuses.text, found)))


@accelerator.command(epilog="Example: ei accelerator certificate accelerator.example.com --output secrets")
@click.argument("host")
@click.option("--output", "folder", type=FOLDER, default=Path(), help="The folder to write to [this one].")
def certificate(host: str, folder: Path) -> None:
    """Make a certificate for an accelerator that clients reach as HOST, and the authority that signs it, by openssl."""
    from container.accelerator import certificates

    made = certificates.make(host, folder)
    print(*made.files, sep="\n")
    commands.say(made.explanation)


@accelerator.command(epilog="Example: ei accelerator token --output token")
@click.option("--output", "file", type=FILE, help="Write it to this file, which only you can read; one that is there stays.")
def token(file: Path | None) -> None:
    """Make a token that an accelerator and its clients share, of 256 bits."""
    from container.accelerator import certificates

    if file is None:
        print(certificates.token())
        return
    certificates.write_token(file)
    print(file)
    commands.say(
        f"for the accelerator: --token-file {file}\nfor its clients: EI_ACCELERATOR_TOKEN, or ei accelerator attach --token-file {file}"
    )


PAIR = (
    click.argument("model", type=click.Path(path_type=Path)),
    click.option("--type", "kind", default=catalog.DEFAULT, metavar="TYPE", help=TYPE_HELP),
    click.option("--image", default="", help="The image of both: mxnet, tf or any name [what the folder holds decides]."),
    click.option("--port", default=8080, type=click.IntRange(1, 65535), help="The model's port on this machine [8080]."),
    click.option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="An environment variable of the model's server."),
    click.option("--output", "folder", type=FOLDER, help="The folder for compose.yaml and the secrets [MODEL-accelerator]."),
)


def pairing(function: Any) -> Any:
    """The command with the options of a pair."""
    for option in reversed(PAIR):
        function = option(function)
    return function


@accelerator.command(
    cls=Behind,
    epilog="Example: ei accelerator compose ./model --type ml.eia2.large && docker compose -f model-accelerator/compose.yaml up",
)
@pairing
@click.pass_context
def compose(ctx: click.Context, /, **given: Any) -> None:
    """Write a Compose file of an accelerator and of a container with MODEL that is attached to it; print its path.

    Flags of `ei accelerator serve` behind `--` are the accelerator's: -- --threads 2
    """
    from container.accelerator import pair as pairs

    chosen = pair(given, ctx.meta[BEHIND])
    pairs.prepare(chosen)
    print(chosen.compose_file)


@accelerator.command(cls=Behind, epilog="Example: ei accelerator up ./model --type ml.eia2.medium")
@pairing
@click.pass_context
def up(ctx: click.Context, /, **given: Any) -> int:
    """Start an accelerator and a container with MODEL that is attached to it, here, until Ctrl-C.

    Flags of `ei accelerator serve` behind `--` are the accelerator's: -- --threads 2
    """
    from container.accelerator import up as upping

    return upping.up(pair(given, ctx.meta[BEHIND]))


def pair(given: dict[str, Any], options: Sequence[str]) -> Pair:
    """The pair that the arguments of a command name; `options` are more flags of the accelerator."""
    from container import images, local
    from container.accelerator import pair as pairs

    image = images.name_of(given["image"]) or local.image_for(given["model"])
    model = local.Local(image, given["model"], given["port"], tuple(given["env"]))
    return pairs.of(model, given["kind"], given["folder"], options)
