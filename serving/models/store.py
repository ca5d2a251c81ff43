"""From a model directory to a service that is ready to be warmed: layout, user script, signature, model, composition.

    directory -> Layout -> UserFunctions | None -> LoadedModel | None -> Service
              -> SavedModels -> tfs.loading                           -> Service

A failure at any step is a ModelError: a service is never loaded but broken.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from serving import toolkit
from serving.backends import mxnet_import
from serving.backends.base import LoadedModel
from serving.errors import ModelError
from serving.handlers import entry, script_file, tfs_script, user_script
from serving.handlers.service import Options, compose
from serving.invocation import Service
from serving.models import saved_models, shapes
from serving.models.layout import Layout, detect, is_converted
from serving.settings import Settings

log = logging.getLogger("ei.models")


def load(settings: Settings) -> Service:
    """The service of the settings' model directory; ModelError says what was expected and what was found."""
    mxnet_import.hook()
    toolkit.install()
    if settings.handler and settings.handler not in entry.DEFAULT_HANDLERS:
        return entry.load(settings.handler, _options(settings, _layout_or_none(settings)))
    found = served_by_tensorflow(settings)
    if found or settings.tfs_address:
        from serving.tfs import loading

        return loading.load(settings, found)
    functions = user_script.load(settings.model_dir, settings.program, settings.submit_directory)
    loads_itself = functions is not None and functions.model_fn is not None
    layout = (
        _layout_or_none(settings) if loads_itself else detect(settings.model_dir, settings.program, settings.submit_directory)
    )
    is_program = _is_program(layout)
    needs_model = functions is None or functions.needs_default_model or (is_program and not loads_itself)
    model = load_model(layout, settings) if needs_model else None
    if is_program:  # no Module stands for it: a script gets the loaded model itself
        layout = replace(layout, symbol=None, params=None, shapes=None)
    options = _options(settings, layout)
    if model is None and layout.shapes is not None:
        options = replace(options, signature=shapes.read(layout.shapes))
    return compose(model, functions, options)


def has_user_code(settings: Settings) -> bool:
    """Whether a script or a handler service of the user's stands before the model."""
    if settings.handler and settings.handler not in entry.DEFAULT_HANDLERS:
        return True
    return script_file.find(settings.model_dir, settings.program, settings.submit_directory) is not None


def served_by_tensorflow(settings: Settings) -> saved_models.Found:
    """The SavedModels that TensorFlow's backend serves; none where something else lies there, or the user's code loads it."""
    if (settings.handler and settings.handler not in entry.DEFAULT_HANDLERS) or not settings.model_dir.is_dir():
        return {}
    found = saved_models.find(settings.model_dir)
    return {} if found and _is_of_the_toolkit(settings) else found


def _is_of_the_toolkit(settings: Settings) -> bool:
    """Whether the user script has the functions of AWS's toolkit, and none of AWS's TensorFlow container."""
    try:
        script = script_file.find(settings.model_dir, settings.program, settings.submit_directory)
    except ModelError:  # the loader of these models says what is missing
        return False
    names = script_file.defined(script.path) if script is not None else set()
    return bool(names & user_script.PARAMETERS.keys()) and not names & tfs_script.PARAMETERS.keys()


def _layout_or_none(settings: Settings) -> Layout:
    """What lies in the model directory; for code that loads its own model, anything may."""
    try:
        return detect(settings.model_dir, settings.program, settings.submit_directory)
    except ModelError as error:
        if not settings.model_dir.is_dir():
            raise
        log.info("the user's code has to load the model by itself: %s", error)
        return Layout(settings.model_dir, "script")


def _is_program(layout: Layout) -> bool:
    """Whether the layout's model is one that `ei convert` wrote and that no single symbol stands for."""
    if layout.symbol is None or not is_converted(layout):
        return False
    from serving.backends import mxnet_converted

    return mxnet_converted.is_program(layout)


def _options(settings: Settings, layout: Layout) -> Options:
    return Options(layout, None, settings.default_accept, settings.max_payload, layout.directory.name)


def load_model(layout: Layout, settings: Settings) -> LoadedModel:
    """The model that the layout's own files make, without a user script: here, or on the accelerator that is attached."""
    if layout.symbol is None:
        raise ModelError(
            f"{layout.directory} holds no symbol and parameters, and its user script has no model_fn to load a model"
        )
    if settings.attaches:
        from serving.backends import attached

        return attached.load(layout, settings)
    from serving.backends import mxnet

    return mxnet.load(layout)
