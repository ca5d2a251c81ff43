"""An accelerator's faults as MXNet's errors, in one line; and whether an accelerator is there to be used at all."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from serving import settings as knobs
from serving.accelerators import attached
from serving.accelerators.client import Accelerator
from serving.accelerators.errors import AcceleratorError, Code
from serving.backends.mxnet_import import import_mxnet

log = logging.getLogger("ei.accelerators")
MXNetError: Any = import_mxnet().base.MXNetError

TRAINING = "for training cannot be set to true with EIA context"
SEVERAL = "Maximum one EIA device can be attached to an instance"
"""Elastic Inference's words [awsdocs/aws-deep-learning-amis doc_source/tutorial-mxnet-elastic-inference.md]."""
OVERSIZE = "EI Error Code: [12, 5, 13] EI Error Description: Internal error"


class EiaError(AcceleratorError, MXNetError):  # type: ignore[misc]
    """What a script catches as MXNetError; where it does not, the container answers with the fault's own status."""


def refusal(words: str, why: str = "") -> EiaError:
    """The error for what an accelerator does not do."""
    return EiaError(Code.UNIMPLEMENTED, f"{words}: {why}" if why else words)


@contextmanager
def translated() -> Iterator[None]:
    """Turn an AcceleratorError into MXNet's; one for want of memory begins with the words that Elastic Inference had for it."""
    try:
        yield
    except EiaError:
        raise
    except AcceleratorError as error:
        raise _translation(error) from None


def _translation(error: AcceleratorError) -> EiaError:
    is_oversize = error.code == Code.RESOURCE_EXHAUSTED
    return EiaError(error.code, f"{OVERSIZE}: {error.message}" if is_oversize else error.message)


def check_configured(ordinal: int) -> None:
    """EiaError where the environment names no accelerator of this ordinal, and no other place to go on."""
    settings = knobs.read()
    with translated():
        try:
            if not 0 <= ordinal < len(attached.visible(settings)):
                attached.number(ordinal, settings)
        except AcceleratorError:
            if settings.fallback != "cpu":
                raise


def accelerator(ordinal: int) -> Accelerator | None:
    """The accelerator, once it has answered; None where it does not and EI_FALLBACK says that the CPU will do."""
    with translated():
        return _asked(ordinal, os.getpid())


@lru_cache(64)
def _asked(ordinal: int, process: int) -> Accelerator | None:  # noqa: ARG001
    """Once for each process: connections do not survive a fork."""
    settings = knobs.read()
    try:
        found = attached.number(ordinal, settings)
        found.info()
    except AcceleratorError as error:
        if settings.fallback != "cpu":
            raise
        log.warning("eia(%d) computes on the CPU, as EI_FALLBACK says: %s", ordinal, error)
        return None
    return found
