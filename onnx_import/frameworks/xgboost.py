"""XGBoost's models, by onnxmltools: native files (.json, .ubj), boosters, and the estimators around them.

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
    """A file that Booster.save_model or an estimator's save_model wrote."""
    import xgboost

    return from_object(xgboost.Booster(model_file=str(path)), options)


def from_object(model: Any, options: Options) -> Any:
    """A booster, or an estimator of XGBoost's with one inside."""
    import xgboost
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    booster = (model if isinstance(model, xgboost.Booster) else model.get_booster()).copy()
    kinds, features = booster.feature_types, booster.num_features()
    best = booster.attr("best_iteration")
    if best is not None:
        booster = booster[: int(best) + 1]
        booster.set_attr(best_iteration=None, best_score=None)
    booster.feature_names = None  # the exporter reads features' numbers off the names f0, f1, ...

    def answer(rows: Array) -> Array:
        matrix = xgboost.DMatrix(rows, feature_types=kinds, enable_categorical=True)
        return np.asarray(booster.predict(matrix))

    types = [("X", FloatTensorType([None, features]))]
    exported = convert_xgboost(booster, initial_types=types, target_opset=options.opset or MAX_OPSET)
    trees.check(exported, answer, features)
    return exported


def register() -> None:
    """Let scikit-learn pipelines end in XGBoost's estimators."""
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )
    from xgboost import XGBClassifier, XGBRegressor

    settings = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    update_registered_converter(
        XGBClassifier, "XGBoostXGBClassifier", calculate_linear_classifier_output_shapes, convert_xgboost, options=settings
    )
    update_registered_converter(XGBRegressor, "XGBoostXGBRegressor", calculate_linear_regressor_output_shapes, convert_xgboost)
