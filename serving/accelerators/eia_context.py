"""`mx.eia(n)`: a context that says `eia` to Python, while MXNet's C API and its operators see the CPU.

Arrays on it stay in host memory, as they are sent with each call. Elastic Inference's MXNet answered `Unimplemented device`
to them; the commonest scripts put arrays and Gluon blocks there all the same.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from serving import settings as knobs
from serving.backends.mxnet_import import import_mxnet

Context: Any = import_mxnet().context.Context
NAME, TYPE_ID = "eia", 6
"""Elastic Inference's MXNet counted it as device type 6."""
_TEXT = re.compile(r"eia(?:\(?(\d+)\)?)?", re.IGNORECASE)
_STOCK = frozenset(Context.devstr2type)
_VARIABLES = ("EI_ACCELERATORS", "EI_VISIBLE_DEVICES", "EI_FALLBACK")


class EiaContext(Context):  # type: ignore[misc]
    """The context of the accelerator `ordinal`; MXNetError where it is not configured. The network is not asked."""

    ordinal: int

    def __init__(self, device_type: Any = NAME, device_id: int = 0) -> None:
        super().__init__("cpu", 0)
        if isinstance(device_type, EiaContext):
            self.ordinal = device_type.ordinal
        else:
            found = _TEXT.fullmatch(device_type)
            if found is None:
                raise KeyError(device_type)  # as MXNet has it for a device type that it does not know
            self.ordinal = int(found.group(1) or device_id)
        _detect(self.ordinal, _environment())

    @property
    def device_type(self) -> str:
        """`eia`, by which scripts choose their way."""
        return NAME

    def __hash__(self) -> int:
        return hash((NAME, self.ordinal))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EiaContext) and self.ordinal == other.ordinal

    def __repr__(self) -> str:
        return f"{NAME}({self.ordinal})"

    def __str__(self) -> str:
        # MXNet's functions make operators' parameters of it, which must name a device that the library has.
        caller = sys._getframe(1).f_globals.get("__name__", "")
        return "cpu(0)" if caller.partition(".")[0] == "mxnet" else repr(self)

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)


def eia(device_id: int = 0) -> EiaContext:
    """The context of the accelerator of this ordinal; MXNetError where none is configured."""
    return EiaContext(NAME, device_id)


def install(mxnet: Any) -> Callable[[int], EiaContext]:
    """Let `mx.Context('eia', n)` be one too; returns `mx.eia`."""
    Context.__new__ = _new
    Context.devstr2type[NAME] = TYPE_ID
    Context.devtype2str[TYPE_ID] = NAME
    return eia


def _new(cls: Any, device_type: Any = "cpu", device_id: int = 0) -> Any:  # noqa: ARG001
    if cls is Context and not (type(device_type) is str and device_type in _STOCK):
        is_named = isinstance(device_type, str) and _TEXT.fullmatch(device_type)
        if is_named or isinstance(device_type, EiaContext):
            cls = EiaContext
    return object.__new__(cls)


def _environment() -> tuple[str | None, ...]:
    environment = knobs.environment()
    return tuple([environment.get(name) for name in _VARIABLES])


@lru_cache(64)
def _detect(ordinal: int, environment: tuple[str | None, ...]) -> None:  # noqa: ARG001
    """MXNetError where this accelerator is not configured; once for each setting of the variables."""
    from serving.accelerators import eia_block, eia_faults

    eia_faults.check_configured(ordinal)
    eia_block.install()
