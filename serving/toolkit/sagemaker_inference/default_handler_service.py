"""The handler service that runs a user script through a Transformer; users subclass it."""

from __future__ import annotations

from typing import Any

from .transformer import Transformer


class DefaultHandlerService:
    """`initialize` once at start, then `handle` for every request."""

    def __init__(self, transformer: Transformer | None = None) -> None:
        self._service = transformer or Transformer()

    def handle(self, data: list[Any], context: Any) -> list[Any]:
        """The body, or the error's message, for each request."""
        return self._service.transform(data, context)

    def initialize(self, context: Any) -> None:
        """Check the user script and load the model; what fails ends the start."""
        self._service.validate_and_initialize(model_dir=context.system_properties.get("model_dir"), context=context)
