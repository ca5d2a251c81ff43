"""The attached accelerators as Elastic Inference's tools and its API described them.

    ei describe-accelerators [-j]                                    `main`
    boto3.client("elastic-inference").describe_accelerators()        `Client`

[Elastic Inference developer guide, "Monitoring Elastic Inference Accelerators"; AWS API of elastic-inference, 2017-07-25]
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from serving import settings as knobs
from serving.accelerators import attached
from serving.accelerators.client import Accelerator
from serving.accelerators.errors import AcceleratorError

ASK_SECONDS = 2.0
MAX_ASKED = 16
"""Accelerators that are asked at once."""


@dataclass(frozen=True)
class Described:
    """One accelerator: its ordinal, its type without `ml.`, as EI's tools wrote it, and why it is unhealthy (empty: it is not)."""

    ordinal: int
    id: str
    type: str
    fault: str

    @property
    def status(self) -> str:
        """One word."""
        return "unhealthy" if self.fault else "healthy"


def describe() -> list[Described]:
    """The accelerators that this process sees, each asked how it is."""
    accelerators = attached.visible(knobs.read())
    with ThreadPoolExecutor(MAX_ASKED) as pool:
        return list(pool.map(_described, accelerators))


def main(arguments: Sequence[str] = ()) -> int:
    """Print them, as JSON with `-j`; 1 where there is none."""
    found = describe()
    if "-j" in arguments or "--json" in arguments:
        devices = [{"ordinal": one.ordinal, "type": one.type, "id": one.id, "status": one.status} for one in found]
        head = {"ei_client_version": attached.CLIENT_VERSION, "time": time.ctime(), "attached_accelerators": len(found)}
        print(json.dumps({**head, "devices": devices}, indent=2))
    else:
        print(f"{len(found)} attached accelerator{'s' * (len(found) != 1)}")
        for one in found:
            print(f"{one.ordinal}  {one.type}  {one.id}  {one.status}{': ' * bool(one.fault)}{one.fault}")
    return 0 if found else 1


class Client:
    """What scripts use of boto3's client of the service."""

    def describe_accelerators(self, acceleratorIds: Collection[str] = (), **others: Any) -> dict[str, Any]:  # noqa: N803
        """The attached accelerators, or those of these ids."""
        found = [one for one in describe() if not acceleratorIds or one.id in acceleratorIds]
        return {
            "acceleratorSet": [
                {"acceleratorId": one.id, "acceleratorType": one.type, "acceleratorHealth": {"status": one.status.upper()}}
                for one in found
            ]
        }

    def close(self) -> None:
        """Nothing is held."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"{name} is not there: of Elastic Inference's service, describe_accelerators is what accelerators answer"
        )


def _described(accelerator: Accelerator) -> Described:
    address = accelerator.target.address
    try:
        info = accelerator.info(ASK_SECONDS)
        fault = "" if accelerator.is_ready(ASK_SECONDS) else "it is not ready"
    except AcceleratorError as error:
        return Described(accelerator.ordinal, address, "", error.message)
    return Described(accelerator.ordinal, info.id or address, (info.type or info.name).removeprefix("ml."), fault)
