"""The workflow of a handler service: find the script's functions, load the model, answer requests.

    data -> transform_fn (or input_fn -> predict_fn -> output_fn) -> body, its type on the context

The attributes and methods with an underscore are those that subclasses in the field override or read. What fails becomes a
status on the context and a message without a traceback, which the log gets.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable
from typing import Any

from serving.handlers import body, faults
from serving.invocation import Request

from . import content_types, environment, utils
from .default_inference_handler import DefaultInferenceHandler
from .errors import BaseInferenceToolkitError, GenericInferenceToolkitError

_HOOKS = ("pre_model_fn", "model_warmup_fn")
_STEPS = ("model_fn", "input_fn", "predict_fn", "output_fn")


class Transformer:
    """A user script's functions, with a handler's defaults where it has none."""

    def __init__(self, default_inference_handler: Any = None) -> None:
        self._default_inference_handler = default_inference_handler or DefaultInferenceHandler()
        self._initialized = False
        self._environment: Any = None
        self._model: Any = None
        self._pre_model_fn: Any = None
        self._model_warmup_fn: Any = None
        self._model_fn: Any = None
        self._transform_fn: Any = None
        self._input_fn: Any = None
        self._predict_fn: Any = None
        self._output_fn: Any = None
        self._context: Any = None
        self._counts: dict[Any, int] = {}

    @staticmethod
    def handle_error(context: Any, inference_exception: Any, trace: str) -> list[str]:
        """Put the error's status on the context; the answer is its message."""
        phrase = utils.remove_crlf(str(inference_exception.phrase))
        context.set_response_status(code=inference_exception.status_code, phrase=phrase)
        return [str(inference_exception.message)]

    def transform(self, data: list[Any], context: Any) -> list[Any]:
        """The body for each request, or the message of what failed."""
        try:
            self.validate_and_initialize(model_dir=context.system_properties.get("model_dir"), context=context)
            self._context = context
            return [self._answer(entry.get("body"), context) for entry in data]
        except BaseInferenceToolkitError as error:
            return self.handle_error(context, error, "")
        except Exception as error:
            fault = faults.of("transform", error, context.get_request_id(0) or "")
            return self.handle_error(context, GenericInferenceToolkitError(fault.status, fault.message), "")

    def validate_and_initialize(self, model_dir: str = environment.model_dir, context: Any = None) -> None:
        """Find the functions and load the model, once; whatever the functions raise."""
        if self._initialized:
            return
        self._context = context
        self._environment = environment.Environment()
        self._validate_user_module_and_set_functions()
        if self._pre_model_fn is not None:
            self._run_handler_function(self._pre_model_fn, model_dir)
        self._model = self._run_handler_function(self._model_fn, model_dir)
        if self._model_warmup_fn is not None:
            self._run_handler_function(self._model_warmup_fn, model_dir, self._model)
        self._initialized = True

    def _answer(self, content: Any, context: Any) -> Any:
        properties = context.request_processor[0].get_request_properties()
        declared = utils.retrieve_content_type_header(properties)
        accept = properties.get("Accept") or properties.get("accept")
        if not accept or accept == content_types.ANY:
            accept = self._environment.default_accept
        content, content_type = body.received(Request(content, declared)) if declared else (content, declared)
        result = self._run_handler_function(self._transform_fn, self._model, content, content_type, accept)
        if isinstance(result, tuple):
            result, accept = result[0], result[1]
        context.set_response_content_type(0, accept)
        return result

    def _validate_user_module_and_set_functions(self) -> None:
        """Take each function from the user's module, else from the default handler; ValueError where two exclude each other."""
        name = self._environment.module_name
        module = importlib.import_module(name) if importlib.util.find_spec(name) is not None else None
        handler = self._default_inference_handler
        for step in (*_HOOKS, *_STEPS):
            function = getattr(module, step, None) or getattr(handler, f"default_{step}", None)
            setattr(self, f"_{step}", function)
        transform_fn = getattr(module, "transform_fn", None)
        if transform_fn and any(getattr(module, step, None) for step in _STEPS[1:]):
            raise ValueError("transform_fn does the work of input_fn, predict_fn and output_fn: keep either it or them")
        self._transform_fn = transform_fn or self._default_transform_fn

    def _default_transform_fn(self, model: Any, input_data: Any, content_type: str, accept: str, context: Any = None) -> Any:
        """The three steps, one after the other."""
        data = self._run_handler_function(self._input_fn, input_data, content_type)
        prediction = self._run_handler_function(self._predict_fn, data, model)
        return self._run_handler_function(self._output_fn, prediction, accept)

    def _run_handler_function(self, func: Callable[..., Any], *argv: Any) -> Any:
        """Call a function with its arguments, and with the context where it has a parameter more."""
        if func not in self._counts:
            self._counts[func] = len(inspect.signature(func).parameters)
        count = self._counts[func]
        if count == len(argv):
            return func(*argv)
        if count == len(argv) + 1:
            return func(*argv, self._context)
        raise TypeError(f"{getattr(func, '__name__', func)} takes {count} arguments but {len(argv)} were given.")
