"""Settings as command-line flags, one for each knob: `--port` of `port`, with the help that its declaration gives."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import Field
from typing import Any

from serving import knobs


def name(knob: Field[Any]) -> str:
    """The flag of a knob."""
    return f"--{knob.name.replace('_', '-')}"


def parse(declared: Sequence[Field[Any]], argv: Sequence[str]) -> dict[str, str | None]:
    """The text of each knob's flag, None where it is not given; exits as argparse does, for `--help` too."""
    parser = argparse.ArgumentParser(
        prog="serve",
        description="Serve a model directory behind GET /ping and POST /invocations.",
        epilog="example: serve --model ./model --port 8080",
        allow_abbrev=False,
    )
    for knob in declared:
        is_flag = knob.metadata["parse"] is knobs.flag
        parser.add_argument(
            name(knob),
            metavar=knob.name.upper(),
            nargs="?" if is_flag else None,
            const="true" if is_flag else None,
            help=f"{knob.metadata['help']} [{', '.join(knob.metadata['env'])}; default {_default(knob)}]",
        )
    return vars(parser.parse_args(list(argv)))


def _default(knob: Field[Any]) -> object:
    return knob.default if knob.default is not None else "none"
