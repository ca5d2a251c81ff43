"""The user script that AWS's stack cannot do without: its toolkit calls the default `model_fn` with a context too many."""

from __future__ import annotations

from typing import Any

from sagemaker_mxnet_serving_container import default_inference_handler as defaults  # type: ignore[import-not-found, unused-ignore]


def model_fn(model_dir: str) -> Any:
    """The default model."""
    return defaults.DefaultMXNetInferenceHandler().default_model_fn(model_dir)
