"""Host calls as text: how a custom operator's parameters name a numpy function, its attributes and its arguments.

    function    "onnx_import.host.lookup:look_up"
    attributes  {"table": {"pairs": [["a", 1]]}, "default": -1}
    arguments   [{"input": 0}, null, {"text": ["b"], "shape": [1]}]
    outputs     [[[2, 3], "int64"]]

JSON holds what it can; what it cannot is an object with a key that says how to read it. All but the name is base64 text,
because MXNet's own JSON reader knows no escapes. A name leads to functions of `host` and `ops` alone: whoever writes a
symbol file cannot have it call anything else.
"""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.errors import InvalidModel
from onnx_import.host.lookup import NAN

PLACES = ("onnx_import.host.", "onnx_import.ops.")
"""The modules whose functions can be named."""


@dataclass(frozen=True)
class Call:
    """A host call that was read: the function, the arguments' pattern, and shapes and dtypes of what it gives."""

    function: Callable[..., Any]
    attributes: Mapping[str, Any]
    arguments: list[Any]
    outputs: list[tuple[tuple[int, ...], str]]

    @property
    def inputs(self) -> int:
        """How many arrays it is fed."""
        return 1 + max((number for pattern in self.arguments for number in _numbers(pattern)), default=-1)

    def __call__(self, arrays: list[Array]) -> list[Array]:
        """The outputs; InvalidModel where they are not what the symbol promises."""
        results = list(self.function(*[_filled(pattern, arrays) for pattern in self.arguments], **self.attributes))
        told = [(tuple(result.shape), result.dtype.name) for result in results]
        if told != self.outputs:
            raise InvalidModel(f"{self.function.__name__} gives {told} where the symbol has {self.outputs}")
        return results


@dataclass(frozen=True)
class Input:
    """The place of an argument that is an array of MXNet's."""

    number: int


def write(
    function: Callable[..., Any], attributes: Mapping[str, Any], arguments: list[Any], outputs: list[Any]
) -> dict[str, str]:
    """The parameters of a call; ValueError where the function has no name, or an attribute no text."""
    name = f"{function.__module__}:{getattr(function, '__qualname__', '')}"
    if _found(name) is not function:
        raise ValueError(f"{name} is no function that a file can name")
    parts = {"attributes": dict(attributes), "arguments": arguments, "outputs": outputs}
    return {"function": name, **{key: _text(value) for key, value in parts.items()}}


def read(parameters: Mapping[str, str]) -> Call:
    """The call that parameters describe; InvalidModel where they do not come from `write`."""
    function = _found(parameters.get("function", ""))
    if function is None:
        raise InvalidModel(f"there is no host function {parameters.get('function')!r}")
    try:
        attributes, arguments, outputs = (_value(parameters[key]) for key in ("attributes", "arguments", "outputs"))
        shapes = [(tuple(map(int, shape)), np.dtype(dtype).name) for shape, dtype in outputs]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidModel(f"the parameters of {function.__name__} cannot be read: {error!r}") from None
    return Call(function, attributes, list(arguments), shapes)


def _found(name: str) -> Callable[..., Any] | None:
    """The function of a name, if it is one of ours."""
    module, _, function = name.partition(":")
    if not module.startswith(PLACES):
        return None
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ImportError:
        return None
    return found if isinstance(found, FunctionType) and found.__module__ == module else None


def _text(value: Any) -> str:
    return base64.b64encode(json.dumps(_plain(value)).encode()).decode()


def _value(text: str) -> Any:
    return _read(json.loads(base64.b64decode(text, validate=True)))


def _plain(value: Any) -> Any:
    """A value as JSON; ValueError for what has no such form."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [_plain(item) for item in value]}
    if isinstance(value, dict):
        return {"pairs": [[_plain(key), _plain(item)] for key, item in value.items()]}
    if isinstance(value, Input):
        return {"input": value.number}
    if isinstance(value, np.ndarray) and value.dtype == object and all(isinstance(item, str) for item in value.flat):
        return {"text": value.ravel().tolist(), "shape": list(value.shape)}
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"bytes": data, "dtype": value.dtype.name, "shape": list(value.shape)}
    raise ValueError(f"a {type(value).__name__} has no text form")


def _read(value: Any) -> Any:
    """What `_plain` wrote."""
    if isinstance(value, float) and value != value:
        return NAN  # the one that tables have as a key, and find by identity
    if isinstance(value, list):
        return [_read(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "tuple" in value:
        return tuple(_read(item) for item in value["tuple"])
    if "pairs" in value:
        return {_read(key): _read(item) for key, item in value["pairs"]}
    if "input" in value:
        return Input(int(value["input"]))
    if "text" in value:
        made = np.empty(len(value["text"]), dtype=object)
        made[:] = value["text"]
        return made.reshape(value["shape"])
    return np.frombuffer(base64.b64decode(value["bytes"]), value["dtype"]).reshape(value["shape"])


def _numbers(pattern: Any) -> list[int]:
    """The inputs that an argument names."""
    if isinstance(pattern, list):
        return [number for item in pattern for number in _numbers(item)]
    return [pattern.number] if isinstance(pattern, Input) else []


def _filled(pattern: Any, arrays: list[Array]) -> Any:
    """An argument with arrays in their places."""
    if isinstance(pattern, list):
        return [_filled(item, arrays) for item in pattern]
    return arrays[pattern.number] if isinstance(pattern, Input) else pattern
