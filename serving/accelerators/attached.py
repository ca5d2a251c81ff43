"""The accelerators that this process has: those that its environment names, each opened once.

    EI_ACCELERATORS=host:port,...   EI_VISIBLE_DEVICES=1,eia-...   ->   number(0), number(1), ...

Elastic Inference's client discovered them from the host's metadata; here the environment alone says, so that it works in a
container, on a laptop and in a batch job alike.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path

from serving import settings as knobs
from serving.accelerators.client import Accelerator
from serving.accelerators.errors import AcceleratorError, Undetected
from serving.accelerators.rpc.target import Target
from serving.settings import Settings

CLIENT_VERSION = "1.9.1-ei"
"""What the banner says of the client: the MXNet version whose scripts it runs."""


_opened: list[Accelerator] = []


def used() -> tuple[int, float]:
    """How many inferences the accelerators have answered to this process, and the seconds that they took."""
    return sum(one.calls for one in _opened), sum(one.seconds for one in _opened)


def targets(settings: Settings) -> tuple[Target, ...]:
    """The addresses of the accelerators, before EI_VISIBLE_DEVICES; StartError where one is none."""
    ca = None
    if settings.accelerator_ca:
        ca = Path() if settings.accelerator_ca == "system" else Path(settings.accelerator_ca)
    return tuple(
        Target(address, settings.accelerator_token, ca, settings.accelerator_name) for address in settings.accelerators
    )


def ordinal(device: str) -> int:
    """The number of a device, `eia:n`."""
    return int(device.partition(":")[2])


def visible(settings: Settings) -> tuple[Accelerator, ...]:
    """The accelerators that may be used, in their new order. Undetected where an entry of EI_VISIBLE_DEVICES fits none."""
    return _visible(targets(settings), settings.visible_devices, os.getpid())


@lru_cache(8)
def _visible(found: tuple[Target, ...], wanted: tuple[str, ...] | None, process: int) -> tuple[Accelerator, ...]:
    """Once for each process: connections do not survive a fork."""
    chosen = found if wanted is None else [_chosen(found, entry) for entry in wanted]
    opened = tuple(Accelerator(target, number) for number, target in enumerate(chosen))
    _opened.extend(opened)
    return opened


def _chosen(found: tuple[Target, ...], entry: str) -> Target:
    """The target of an ordinal or an id."""
    if entry.isdigit():
        if int(entry) < len(found):
            return found[int(entry)]
    else:
        for target in found:
            try:
                if Accelerator(target).info().id == entry:
                    return target
            except AcceleratorError:
                continue
    raise Undetected(f"EI_VISIBLE_DEVICES names {entry!r}, and EI_ACCELERATORS has {len(found)}: ordinals count from 0")


def number(ordinal: int, settings: Settings | None = None) -> Accelerator:
    """The accelerator of this ordinal, with the banner at the process' first use; Undetected where there is none."""
    settings = settings or knobs.read()
    found = visible(settings)
    if not found:
        _print("Failed to query accelerator metadata.")
        raise Undetected(why_none(settings))
    if not 0 <= ordinal < len(found):
        raise Undetected(f"number {ordinal} is asked for, and there are {len(found)}: ordinals count from 0 (EI_ACCELERATORS)")
    _announce(found, os.getpid())
    return found[ordinal]


def why_none(settings: Settings) -> str:
    """What to set where no accelerator is to be seen."""
    if settings.accelerators:
        return "EI_VISIBLE_DEVICES is empty"
    return "set EI_ACCELERATORS=HOST:PORT (`ei accelerator serve` starts one)"


@lru_cache(8)
def _announce(found: tuple[Accelerator, ...], process: int) -> None:
    """What Elastic Inference's client printed at its first use [AWS Deep Learning AMI guide, MXNet tutorial]."""
    _print(f"Using Amazon Elastic Inference Client Library Version: {CLIENT_VERSION}")
    _print(f"Number of Elastic Inference Accelerators Available: {len(found)}")
    for accelerator in found:
        try:
            info = accelerator.info()
        except AcceleratorError:
            continue  # its first use will say so
        _print(f"Elastic Inference Accelerator ID: {info.id or accelerator.target.address}")
        _print(f"Elastic Inference Accelerator Type: {(info.type or info.name).removeprefix('ml.')}")
        _print(f"Elastic Inference Accelerator Ordinal: {accelerator.ordinal}")


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
