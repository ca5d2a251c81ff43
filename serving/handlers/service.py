"""The service of a model with a user script, composed once at load: every choice is made before the first request.

    decode:  input_fn or codecs          (nothing, where transform_fn does all)
    predict: predict_fn, transform_fn, or the default pass over all requests at once
    encode:  output_fn or codecs

What passes between the three is (data, context): the context is the request's own, and None where no function takes one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from serving.backends import mxnet_import
from serving.backends.base import LoadedModel
from serving.codecs import negotiate
from serving.errors import ModelError, UserCodeError
from serving.handlers import body, defaults, faults, mxnet_array, mxnet_objects, script_file
from serving.handlers.context import Context, of_request
from serving.handlers.default_service import DefaultService
from serving.handlers.user_script import UserFunctions
from serving.invocation import Inputs, Outputs, Reply, Request, Service
from serving.models.layout import Layout
from serving.models.signature import Signature

log = logging.getLogger("ei.script")


@dataclass(frozen=True)
class Options:
    """What composing needs besides the model and the functions."""

    layout: Layout
    signature: Signature | None = None
    default_accept: str = body.JSON
    limit: int = 1 << 32
    """Bytes of the largest body, unpacked."""
    model_name: str = "model"


@dataclass(frozen=True)
class Model:
    """The model as the script sees it, and the default pass over it (None where the script does that itself)."""

    object: Any
    kind: str
    """`mxnet_objects.kind` of the model: what a script expects its data and predictions to be."""
    default: DefaultService | None
    signature: Signature | None


class Unnamed:
    """Data of an `input_fn` that only the model's own framework understands; a pass of its own takes it."""

    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data = data


def compose(model: LoadedModel | None, functions: UserFunctions | None, options: Options) -> Service:
    """The service of a model and its script; ModelError where a function fails at load, or nothing stands where one must.

    `model` is the model directory's own, already loaded; it may be None where `functions.needs_default_model` is false.
    Runs `pre_model_fn`, `model_fn` and `model_warmup_fn`, in this order, once.
    """
    if functions is None or not functions.names:
        if model is None:
            raise ModelError(f"{options.layout.directory} holds no model, and no user script to load one")
        return DefaultService(model, options.default_accept, options.limit)
    directory = str(options.layout.directory)
    context = Context(options.model_name, directory)
    if functions.pre_model_fn is not None:
        _at_load("pre_model_fn", functions, functions.pre_model_fn, directory, context)
    bundle = _model(model, functions, options, context)
    if functions.model_warmup_fn is not None:
        _at_load("model_warmup_fn", functions, functions.model_warmup_fn, directory, bundle.object, context)
    return ScriptService(functions, bundle, options, context)


class ScriptService:
    """A user script's functions around a model; defaults where it has none."""

    def __init__(self, functions: UserFunctions, model: Model, options: Options, context: Context) -> None:
        self.functions = functions
        self.model = model
        self.signature = model.signature
        self._context = context if functions.uses_context else None
        self._default = model.default
        self._accept, self._limit = options.default_accept, options.limit
        self._names = tuple(tensor.name for tensor in model.signature.outputs) if model.signature else ()
        self._deferred = None if model.default is None or model.kind == mxnet_objects.OTHER else mxnet_array.lazy
        self._decode = self._input_step()
        self._predict = self._predict_step()
        self._encode = self._output_step()

    def decode(self, request: Request) -> tuple[Any, Context | None]:
        """The data for the model, and the request's context."""
        context = of_request(self._context, request) if self._context is not None else None
        return self._decode(request, context), context

    def predict(self, inputs: list[Any], requests: list[Request]) -> list[Any]:
        """(prediction, context), or the exception, for each request: a user's function answers one request at a time."""
        step = self._predict
        if step is None:
            return self._default_pass(inputs, requests)
        answers: list[Any] = []
        for (data, context), request in zip(inputs, requests, strict=True):
            try:
                answers.append((step(data, context, request), context))
            except Exception as error:
                answers.append(error)
        return answers

    def encode(self, output: tuple[Any, Context | None], request: Request) -> Reply:
        """The reply, with the status and headers that the script set on its context."""
        prediction, context = output
        return self._encode(prediction, context, request)

    def _input_step(self) -> Callable[[Request, Context | None], Any]:
        functions = self.functions
        if functions.transform_fn is not None:
            return lambda request, context: body.received(request)
        if functions.input_fn is not None:
            return self._user_input
        if functions.predict_fn is not None:
            return self._input_for_user
        return lambda request, context: self._pass.decode(request)

    @property
    def _pass(self) -> DefaultService:
        """The default pass, which is there whenever neither predict_fn nor transform_fn is."""
        assert self._default is not None
        return self._default

    def _user_input(self, request: Request, context: Context | None) -> Any:
        function = self.functions.input_fn
        assert function is not None
        data, content_type = body.received(request)
        mxnet_import.deferred = self._deferred
        try:
            data = function(data, content_type, self.model.object, context)
        except BaseException as error:
            raise faults.of("input_fn", error, request.id) from error
        finally:
            mxnet_import.deferred = None
        return data if self._default is None else self._inputs(data, self._default)

    def _inputs(self, data: Any, default: DefaultService) -> Inputs | Unnamed:
        """What the user's `input_fn` gave, as the named arrays of the default pass."""
        inputs = defaults.to_inputs(data, default.signature)
        if inputs is not None:
            return default.signature.validate(inputs)
        if self.model.kind == mxnet_objects.OTHER or data is None:
            raise faults.wrong_type("input_fn", data, "arrays, by name where the model has several inputs")
        return Unnamed(data)

    def _input_for_user(self, request: Request, context: Context | None) -> Any:
        """The default `input_fn` before a user's `predict_fn`: what AWS's container of that framework gives it."""
        decoded = defaults.decode(request, self.signature, self._limit)
        if self.model.kind == mxnet_objects.OTHER:
            return defaults.as_toolkit(decoded, request.content_type)
        return mxnet_objects.to_data(decoded, self.model.kind)

    def check(self, content_type: str, accept: str) -> None:
        """Refuse by the headers alone what no default codec reads or writes; a script's own functions may know more types."""
        functions = self.functions
        if functions.transform_fn is not None:
            return
        if functions.input_fn is None:
            negotiate.decoder(content_type)
        if functions.output_fn is None:
            negotiate.encoder(accept, self._accept)

    def _predict_step(self) -> Callable[[Any, Context | None, Request], Any] | None:
        if self.functions.transform_fn is not None:
            return self._transform
        return self._user_predict if self.functions.predict_fn is not None else None

    def _user_predict(self, data: Any, context: Context | None, request: Request) -> Any:
        function = self.functions.predict_fn
        assert function is not None
        try:
            return function(data, self.model.object, context)
        except BaseException as error:
            raise faults.of("predict_fn", error, request.id) from error

    def _transform(self, data: Any, context: Context | None, request: Request) -> Any:
        function = self.functions.transform_fn
        assert function is not None
        accept = body.preferred(request.accept, self._accept)
        try:
            return function(self.model.object, data[0], data[1], accept, context)
        except BaseException as error:
            raise faults.of("transform_fn", error, request.id) from error

    def _default_pass(self, inputs: list[Any], requests: list[Request]) -> list[Any]:
        """One pass for all requests whose data is arrays; data of the framework's own kinds has a pass of its own."""
        default = self._pass
        if all(type(data) is dict for data, _ in inputs):
            outputs = default.predict([data for data, _ in inputs], requests)
            return [
                output if isinstance(output, BaseException) else (output, context)
                for output, (_, context) in zip(outputs, inputs, strict=True)
            ]
        answers = []
        for (data, context), request in zip(inputs, requests, strict=True):
            try:
                output = self._alone(data.data) if isinstance(data, Unnamed) else default.predict([data], [request])[0]
                answers.append(output if isinstance(output, BaseException) else (output, context))
            except Exception as error:
                answers.append(error)
        return answers

    def _alone(self, data: Any) -> Any:
        try:
            return mxnet_objects.predict(self.model.object, self.model.kind, data)
        except Exception as error:
            raise UserCodeError(f"the forward pass failed: {script_file.describe(error)}") from error

    def _output_step(self) -> Callable[[Any, Context | None, Request], Reply]:
        functions = self.functions
        if functions.transform_fn is not None:
            return lambda answer, context, request: body.reply(
                answer, "transform_fn", body.preferred(request.accept, self._accept), context, request
            )
        if functions.output_fn is not None:
            return self._user_output
        return lambda prediction, context, request: body.finish(
            defaults.encode(prediction, request, self._names, self._accept)
            if self._default is None or type(prediction) is not dict
            else self._default.encode(prediction, request),
            context,
        )

    def _user_output(self, prediction: Any, context: Context | None, request: Request) -> Reply:
        function = self.functions.output_fn
        assert function is not None
        accept = body.preferred(request.accept, self._accept)
        if self._default is not None and type(prediction) is dict:
            prediction = self._for_user(prediction)
        try:
            returned = function(prediction, accept, context)
        except BaseException as error:
            raise faults.of("output_fn", error, request.id) from error
        return body.reply(returned, "output_fn", accept, context, request)

    def _for_user(self, outputs: Outputs) -> Any:
        """The default pass's outputs as a user's `output_fn` expects them of its container."""
        if self.model.kind != mxnet_objects.OTHER:
            return mxnet_objects.to_prediction(outputs)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs


def _model(model: LoadedModel | None, functions: UserFunctions, options: Options, context: Context) -> Model:
    """The model by `model_fn`, or the model directory's own, in the form that the script's other functions expect."""
    passes = functions.predict_fn is None and functions.transform_fn is None
    if functions.model_fn is not None:
        made = _at_load("model_fn", functions, functions.model_fn, str(options.layout.directory), context)
        kind = mxnet_objects.kind(made)
        if not passes:
            return Model(made, kind, None, options.signature)
        loaded = _loaded(made, kind, functions, options)
        return Model(made, kind, DefaultService(loaded, options.default_accept, options.limit), loaded.signature)
    if options.layout.symbol is None:
        kind, made = mxnet_objects.OTHER, model
    else:
        kind, made = mxnet_objects.MODULE, model
        if not passes or functions.input_takes_model or functions.model_warmup_fn is not None:
            made = mxnet_objects.default_module(options.layout, options.signature or (model.signature if model else None))
    if made is None or (passes and model is None):
        where = options.layout.directory
        raise ModelError(f"{functions.path}: no model_fn, and {where} holds no model that could be loaded without one")
    default = DefaultService(model, options.default_accept, options.limit) if passes and model is not None else None
    return Model(made, kind, default, options.signature or (model.signature if model is not None else None))


def _loaded(made: Any, kind: str, functions: UserFunctions, options: Options) -> LoadedModel:
    """A loaded model around what `model_fn` returned, for the default pass; ModelError where nobody knows how to run it."""
    if kind != mxnet_objects.OTHER:
        from serving.backends import mxnet_adapt

        return mxnet_adapt.adapt(made, options.signature)
    if hasattr(made, "forward") and isinstance(getattr(made, "signature", None), Signature):
        return made  # type: ignore[no-any-return]
    raise ModelError(
        f"{functions.path}: model_fn returned a value of type {type(made).__name__}, which the default predict_fn cannot run "
        "(a Gluon block or a Module it could): add a predict_fn(data, model)"
    )


def _at_load(name: str, functions: UserFunctions, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function of the load; ModelError with file and line for whatever it raises."""
    try:
        return function(*args)
    except BaseException as error:
        log.error("%s failed at load", name, exc_info=error)
        at = script_file.place(error, functions.path)
        raise ModelError(f"{at}: {name} failed: {script_file.describe(error)}") from error
