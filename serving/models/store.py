"""From a model directory to a service that is ready to be warmed: layout, user script, signature, model, composition.

    directory -> Layout -> UserFunctions | None -> LoadedModel | None -> Service

A failure at any step is a ModelError: a service is never loaded but broken.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from serving.backends import mxnet_import
from serving.backends.base import LoadedModel
from serving.errors import ModelError
from serving.handlers import user_script
from serving.handlers.service import Options, compose
from serving.invocation import Service
from serving.models import shapes
from serving.models.layout import Layout, detect
from serving.settings import Settings

log = logging.getLogger("ei.models")


def load(settings: Settings) -> Service:
    """The service of the settings' model directory; ModelError says what was expected and what was found."""
    layout = detect(settings.model_dir, settings.program, settings.submit_directory)
    options = Options(layout, None, settings.default_accept, settings.max_payload, layout.directory.name)
    mxnet_import.hook()
    if settings.handler:
        from serving.handlers import entry

        return entry.load(settings.handler, options)
    functions = None
    if layout.script is not None:
        from serving import toolkit

        toolkit.install()
        functions = user_script.load(layout.directory, settings.program, settings.submit_directory)
    model = load_model(layout) if functions is None or functions.needs_default_model else None
    if model is None and layout.shapes is not None:
        options = replace(options, signature=shapes.read(layout.shapes))
    return compose(model, functions, options)


def load_model(layout: Layout) -> LoadedModel:
    """The model that the layout's own files make, without a user script."""
    if layout.symbol is None:
        raise ModelError(
            f"{layout.directory} holds no symbol and parameters, and its user script has no model_fn to load a model"
        )
    from serving.backends import mxnet

    return mxnet.load(layout)
