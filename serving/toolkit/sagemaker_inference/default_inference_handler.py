"""The default functions around a model of no particular framework; users subclass it."""

from __future__ import annotations

from typing import Any

from . import decoder, encoder, errors, utils


class DefaultInferenceHandler:
    """Decoding and encoding by the toolkit's types; loading and predicting are the subclass's."""

    def default_model_fn(self, model_dir: str, context: Any = None) -> Any:
        """Load the model: NotImplementedError, since only a script or a subclass knows how."""
        raise NotImplementedError("Please provide a model_fn implementation.")

    def default_input_fn(self, input_data: Any, content_type: str, context: Any = None) -> Any:
        """The array in the request's body."""
        return decoder.decode(input_data, content_type)

    def default_predict_fn(self, data: Any, model: Any, context: Any = None) -> Any:
        """Run the model: NotImplementedError, since only a script or a subclass knows how."""
        raise NotImplementedError("Please provide a predict_fn implementation.")

    def default_output_fn(self, prediction: Any, accept: str, context: Any = None) -> tuple[str | bytes, str]:
        """The body and its type, the first of the accepted ones that is written; UnsupportedFormatError where none is."""
        for content_type in utils.parse_accept(accept):
            if content_type in encoder.SUPPORTED_CONTENT_TYPES:
                return encoder.encode(prediction, content_type), content_type
        raise errors.UnsupportedFormatError(accept)
