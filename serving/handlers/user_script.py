"""A user script's functions, checked once at load and behind one calling convention each.

    file -> module -> functions that stand in it -> signatures checked -> UserFunctions

Whether a function takes `context` is decided by its number of parameters, as in AWS's toolkit: n, or n + 1 with the context
last; parameters with defaults and `*args` count. Callers always pass the context and need not know.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from serving import toolkit
from serving.errors import ModelError
from serving.handlers import script_file

log = logging.getLogger("ei.script")

PARAMETERS = {
    "pre_model_fn": ("model_dir",),
    "model_fn": ("model_dir",),
    "model_warmup_fn": ("model_dir", "model"),
    "input_fn": ("input_data", "content_type"),
    "predict_fn": ("data", "model"),
    "output_fn": ("prediction", "accept"),
    "transform_fn": ("model", "input_data", "content_type", "accept"),
}
"""The functions of a script and their parameters, without `context` [aws/sagemaker-inference-toolkit transformer.py]."""

UserFunction = Callable[..., Any]


@dataclass(frozen=True)
class UserFunctions:
    """What a script replaces; None is the default. Each takes the parameters noted, in this order, all of them."""

    path: Path
    pre_model_fn: UserFunction | None = None
    """(model_dir, context)"""
    model_fn: UserFunction | None = None
    """(model_dir, context) -> model"""
    model_warmup_fn: UserFunction | None = None
    """(model_dir, model, context)"""
    input_fn: UserFunction | None = None
    """(input_data, content_type, model, context) -> data"""
    predict_fn: UserFunction | None = None
    """(data, model, context) -> prediction"""
    output_fn: UserFunction | None = None
    """(prediction, accept, context) -> body or (body, content_type)"""
    transform_fn: UserFunction | None = None
    """(model, input_data, content_type, accept, context) -> body or (body, content_type)"""
    uses_context: bool = False
    input_takes_model: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the functions that stand in the script."""
        return tuple(f.name for f in fields(self) if f.name in PARAMETERS and getattr(self, f.name) is not None)

    @property
    def needs_default_model(self) -> bool:
        """Whether the model directory's own model is loaded by a backend: no function of the script stands in for it."""
        return self.model_fn is None and self.predict_fn is None and self.transform_fn is None


def load(directory: Path, program: str, submit_directory: str = "") -> UserFunctions | None:
    """Import the user script of a model directory and check its functions; None where there is no script.

    ModelError, with file and line, where it cannot be imported, where a function takes the wrong number of parameters, or
    where `transform_fn` stands beside a function that it replaces.
    """
    script = script_file.find(directory, program, submit_directory)
    if script is None:
        return None
    toolkit.install(directory)
    functions = from_module(script_file.import_script(script), script.path)
    log.info("user script %s: %s", script.path, ", ".join(functions.names) or "no function of its own, the defaults serve")
    return functions


def from_module(module: ModuleType, path: Path) -> UserFunctions:
    """The checked functions of an imported script; all faults in one ModelError."""
    found = {name: getattr(module, name) for name in PARAMETERS if getattr(module, name, None) is not None}
    wrapped: dict[str, UserFunction] = {}
    faults: list[str] = []
    takes_context = False
    for name, function in found.items():
        try:
            wrapped[name], with_context = adapt(name, function)
            takes_context = takes_context or with_context
        except TypeError as fault:
            faults.append(f"{_line(function, path)}: {fault}")
    replaced = [name for name in ("input_fn", "predict_fn", "output_fn") if name in found]
    if "transform_fn" in found and replaced:
        others = ", ".join(replaced)
        faults.append(f"{_line(found['transform_fn'], path)}: transform_fn does the work of {others}: keep either it or them")
    if faults:
        raise ModelError("the user script cannot be used:\n" + "\n".join(f"  {fault}" for fault in faults))
    parameters = _parameters(found["input_fn"]) if "input_fn" in found else None
    takes_model = parameters is not None and _names_model(parameters)
    return UserFunctions(path, uses_context=takes_context, input_takes_model=takes_model, **wrapped)


def adapt(name: str, function: Any) -> tuple[UserFunction, bool]:
    """The function behind its fixed calling convention, and whether it takes the context; TypeError says what is wrong."""
    expected = PARAMETERS[name]
    wanted = f"{name}({', '.join(expected)}) or {name}({', '.join((*expected, 'context'))})"
    if not callable(function):
        raise TypeError(f"{name} is a {type(function).__name__}; expected the function {wanted}")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{name} is an async function, which nothing awaits; expected a plain one, {wanted}")
    parameters = _parameters(function)
    if parameters is None:  # a builtin without a signature: called as it is documented
        return _fixed(name, function, False, False), False
    if _takes_anything(parameters):  # a decorator's wrapper: what it wraps is not known, so it gets what is documented
        return _fixed(name, function, False, False), False
    takes_model = name == "input_fn" and _names_model(parameters)
    size = len(expected) + takes_model
    count = len(parameters)
    if count == size:
        return _fixed(name, function, takes_model, False), False
    if count == size + 1:
        return _fixed(name, _by_position(function, parameters[-1]), takes_model, True), True
    raise TypeError(f"{name} takes {count} parameter{'s' * (count != 1)}; expected {wanted}")


def _parameters(function: Any) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def _takes_anything(parameters: list[inspect.Parameter]) -> bool:
    kinds = {parameter.kind for parameter in parameters}
    return inspect.Parameter.VAR_POSITIONAL in kinds and kinds <= {
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.VAR_KEYWORD,
    }


def _names_model(parameters: list[inspect.Parameter]) -> bool:
    """Whether an `input_fn` takes the model third, as the MXNet container's Module handler allows."""
    return len(parameters) >= 3 and parameters[2].name == "model"


def _by_position(function: Any, last: inspect.Parameter) -> UserFunction:
    """The function, with its context as the last positional argument, whatever kind of parameter it declares for it."""
    if last.kind is last.KEYWORD_ONLY:
        return lambda *args: function(*args[:-1], **{last.name: args[-1]})
    if last.kind is last.VAR_KEYWORD:
        return lambda *args: function(*args[:-1], context=args[-1])
    return function  # type: ignore[no-any-return]


def _fixed(name: str, function: Any, takes_model: bool, takes_context: bool) -> UserFunction:
    """The function under the one convention of `UserFunctions`, whose callers pass everything."""
    if name == "input_fn":
        return _fixed_input(function, takes_model, takes_context)
    if takes_context:
        return function  # type: ignore[no-any-return]
    if name in ("pre_model_fn", "model_fn"):
        return lambda model_dir, context: function(model_dir)
    if name == "transform_fn":
        return lambda model, data, content_type, accept, context: function(model, data, content_type, accept)
    return lambda first, second, context: function(first, second)


def _fixed_input(function: Any, takes_model: bool, takes_context: bool) -> UserFunction:
    if takes_model and takes_context:
        return function  # type: ignore[no-any-return]
    if takes_model:
        return lambda data, content_type, model, context: function(data, content_type, model)
    if takes_context:
        return lambda data, content_type, model, context: function(data, content_type, context)
    return lambda data, content_type, model, context: function(data, content_type)


def _line(function: Any, path: Path) -> str:
    """`FILE:LINE` of a function, or the script's file where the object has no line."""
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else str(path)
