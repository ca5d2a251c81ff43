"""LightGBM's models, by onnxmltools: native text files, boosters, and the estimators around them.

Classifiers give `label` and `probabilities`, all others `variable`; early stopping's best iteration is the last that counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from onnx_import.frameworks import trees
from onnx_import.frameworks.options import Options

MAX_OPSET = 15
"""What onnxmltools' own converters were written for."""
Array: TypeAlias = "np.ndarray[Any, Any]"


def from_file(path: Path, options: Options) -> Any:
    """A file that Booster.save_model wrote."""
    import lightgbm

    return from_object(lightgbm.Booster(model_file=str(path)), options)


def from_object(model: Any, options: Options) -> Any:
    """A booster, or an estimator of LightGBM's with one inside."""
    import lightgbm
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    booster = model if isinstance(model, lightgbm.Booster) else model.booster_
    features = booster.num_feature()
    types = [("X", FloatTensorType([None, features]))]
    exported = convert_lightgbm(model, initial_types=types, zipmap=False, target_opset=options.opset or MAX_OPSET)
    trees.check(exported, lambda rows: np.asarray(booster.predict(rows)), features)
    return exported


def register() -> None:
    """Let scikit-learn pipelines end in LightGBM's estimators."""
    from lightgbm import LGBMClassifier, LGBMRegressor
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    settings = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    update_registered_converter(
        LGBMClassifier, "LightGbmLGBMClassifier", calculate_linear_classifier_output_shapes, convert_lightgbm, options=settings
    )
    update_registered_converter(
        LGBMRegressor, "LightGbmLGBMRegressor", calculate_linear_regressor_output_shapes, convert_lightgbm
    )
