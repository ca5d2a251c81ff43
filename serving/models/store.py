"""From a model directory to a service that is ready to be warmed: layout, signature, user script, model, composition."""

from __future__ import annotations

import logging

from serving.errors import ModelError
from serving.handlers.default_service import DefaultService
from serving.invocation import Service
from serving.models.layout import Layout, detect
from serving.settings import Settings

log = logging.getLogger("ei.models")


def load(settings: Settings) -> Service:
    """The service of the settings' model directory; ModelError says what was expected and what was found."""
    layout = detect(settings.model_dir)
    return DefaultService(load_model(layout), settings.default_accept, settings.max_payload)


def load_model(layout: Layout):
    """The model that the layout's own files make, without a user script."""
    if layout.symbol is None or layout.params is None:
        raise ModelError(f"{layout.directory} holds no symbol and parameters, and no user script to load a model")
    from serving.backends import mxnet

    return mxnet.load(layout)
