"""Whether the accelerators that are declared are there, before anything is served: never silently on the CPU.

    EI_ACCELERATORS, SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT -> each asked who it is -> Found, ...
                                                             -> none answers: StartError, or the CPU if EI_FALLBACK says so

They are asked in a child: connections, and the threads that some of them have, do not survive the fork of the workers.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from serving import settings as knobs
from serving.accelerators import attached
from serving.accelerators.client import CONNECT_SECONDS, Accelerator, ServerInfo
from serving.accelerators.errors import UNDETECTED, AcceleratorError, Code
from serving.errors import StartError
from serving.execution import probe
from serving.settings import Settings

log = logging.getLogger("ei.accelerators")
RETRY_SECONDS = 0.2
"""Between two tries of one that does not listen yet: it may be started together with this server."""
PRESENT = "SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT"


@dataclass(frozen=True)
class Found:
    """An accelerator that has answered: `type` and `id` are empty where it is none of ours."""

    ordinal: int
    address: str
    name: str
    type: str
    id: str

    @property
    def device(self) -> str:
        """What scripts and settings call it."""
        return f"eia:{self.ordinal}"

    def __str__(self) -> str:
        kind = " ".join(word for word in (self.type or self.name, self.id) if word)
        return f"{self.device} ({kind} at {self.address})"


def attach(settings: Settings) -> tuple[Settings, tuple[Found, ...]]:
    """The accelerators, and the settings and the environment to go on with: those of the CPU where they are not there.

    StartError, with the phrase that users know, where none is there and EI_FALLBACK does not say that this is fine.
    """
    try:
        found = detect(settings)
    except StartError as error:
        if settings.fallback != "cpu":
            raise
        log.warning("serving on the CPU, as EI_FALLBACK says: %s", error)
        return detached(settings), ()
    for name, value in _environment(settings).items():
        knobs.put(name, value)
    return settings, found


def detached(settings: Settings) -> Settings:
    """Settings without an accelerator; scripts, which read the environment, see none either."""
    knobs.put(PRESENT, "false")
    knobs.put("EI_ACCELERATORS", "")
    return replace(settings, accelerators=(), accelerator_present=False)


def detect(settings: Settings) -> tuple[Found, ...]:
    """The visible accelerators that answer; StartError where none does, or not the one that EI_DEVICE names."""
    if not settings.accelerators or settings.visible_devices == ():
        remedy = "or EI_FALLBACK=cpu to serve on the CPU all the same"
        raise StartError(f"{UNDETECTED}: {attached.why_none(settings)}, {remedy}")
    report = probe.ask(lambda: _ask(settings))
    found = tuple(Found(**entry) for entry in report["found"])
    lost = {int(ordinal): why for ordinal, why in report["lost"].items()}
    wanted = _ordinal(settings.device)
    if not found or wanted in lost:
        raise StartError(lost[wanted] if wanted in lost else next(iter(lost.values())))
    if wanted is not None and wanted >= len(found) + len(lost):
        raise StartError(f"{UNDETECTED}: EI_DEVICE is {settings.device}, and there are {len(found)}: ordinals count from 0")
    for ordinal, why in lost.items():
        log.warning("eia:%d is left out: %s", ordinal, why)
    return found


def _ordinal(device: str) -> int | None:
    return attached.ordinal(device) if device != "cpu" else None


def _ask(settings: Settings) -> dict[str, Any]:
    """Who is there, and why the others are not."""
    end = time.monotonic() + CONNECT_SECONDS
    found, lost = [], {}
    try:
        visible = attached.visible(settings)
    except AcceleratorError as error:
        raise StartError(error.message) from None
    for accelerator in visible:
        try:
            info = _info(accelerator, end)
        except AcceleratorError as error:
            address = accelerator.target.address
            known = error.message.startswith(UNDETECTED)
            lost[str(accelerator.ordinal)] = error.message if known else f"{UNDETECTED}: {address}: {error.message}"
        else:
            found.append(asdict(Found(accelerator.ordinal, accelerator.target.address, info.name, info.type, info.id)))
    return {"found": found, "lost": lost}


def _info(accelerator: Accelerator, end: float) -> ServerInfo:
    """What it says of itself, asked again until `end` while nobody listens there."""
    while True:
        try:
            return accelerator.info(max(0.5, end - time.monotonic()))
        except AcceleratorError as error:
            if error.code != Code.UNAVAILABLE or time.monotonic() + RETRY_SECONDS > end:
                raise
        time.sleep(RETRY_SECONDS)


def _environment(settings: Settings) -> dict[str, str]:
    """What scripts, and processes that they start, have to read: flags count for them as well."""
    found = {PRESENT: "true", "EI_ACCELERATORS": ",".join(settings.accelerators), "EI_FALLBACK": settings.fallback}
    if settings.visible_devices is not None:
        found["EI_VISIBLE_DEVICES"] = ",".join(settings.visible_devices)
    texts = {
        "EI_ACCELERATOR_TOKEN": settings.accelerator_token,
        "EI_ACCELERATOR_CA": settings.accelerator_ca,
        "EI_ACCELERATOR_NAME": settings.accelerator_name,
        "EI_DEVICE": settings.device,
    }
    return {**found, **{name: text for name, text in texts.items() if text}}
