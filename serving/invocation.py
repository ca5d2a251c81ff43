"""The line: requests in, replies out. No HTTP, no framework.

    Request -> decode -> predict (stack, forward, split) -> encode -> Reply

One function, `invoke`, for one request or many; both placements call it. An error belongs to its own request and never to
its neighbours.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Protocol, TypeAlias

import numpy as np
import orjson

from serving.errors import Overloaded, ServingError, UserCodeError

log = logging.getLogger("ei.invocation")

Array: TypeAlias = "np.ndarray[Any, Any]"
Inputs: TypeAlias = "dict[str, Array]"
Outputs: TypeAlias = "dict[str, Array]"

UNNAMED = ""
"""The key of a tensor that the request, or the user's `predict_fn`, gave no name."""
