"""X-Amzn-SageMaker-Custom-Attributes -> model, version and method, as AWS's TensorFlow container reads it.

    tfs-model-name=half_plus_two,tfs-model-version=123,tfs-method=predict

Everything else in the header is passed over, and of a repeated attribute the last counts. Names are held to what cannot turn
a URL elsewhere, since scripts build one from them (`Context.rest_uri`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from serving.errors import BadRequest

METHODS = ("predict", "classify", "regress")

_PAIR = re.compile(r"tfs-(model-name|model-version|method)=([^,]+)")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_VERSION = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Target:
    """What a request is for: the default model and its newest version where these are None."""

    model: str | None = None
    version: int | None = None
    method: str = "predict"


@lru_cache(maxsize=128)
def target(custom_attributes: str | None) -> Target:
    """Read the header's value; BadRequest names the attribute that cannot be meant."""
    found = {name: value.strip() for name, value in _PAIR.findall(custom_attributes or "")}
    model, version = found.get("model-name"), found.get("model-version")
    method = found.get("method", "predict")
    if model is not None and not _NAME.fullmatch(model):
        raise BadRequest(f"tfs-model-name {model[:60]!r} is no model name: expected letters, digits, '_', '-' and '.'")
    if version is not None and not _VERSION.fullmatch(version):
        raise BadRequest(f"tfs-model-version {version[:60]!r} is no version: expected a number")
    if method not in METHODS:
        raise BadRequest(f"tfs-method {method[:60]!r} is not known: expected one of {', '.join(METHODS)}")
    return Target(model, None if version is None else int(version), method)
