"""scikit-learn's estimators and pipelines, by skl2onnx.

Numbers come in as float32, one matrix (rows, features), or a column each where a pipeline tells text columns from numbers.
Classifiers give `label` and `probabilities`, both arrays.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from onnx_import.frameworks.errors import ExportError
from onnx_import.frameworks.options import Options

MATRIX = "X"
TEXT_KINDS = "OUS"
ML_OPSET = 3
"""The newest that the converters of XGBoost's and LightGBM's estimators know."""


def from_object(model: Any, options: Options) -> Any:
    """A fitted estimator or pipeline as ONNX."""
    from skl2onnx import __max_supported_opset__, convert_sklearn
    from sklearn.base import is_classifier
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise ExportError(f"this {type(model).__name__} has not been fitted") from error
    _register_boosters()
    opsets = {"": options.opset or __max_supported_opset__, "ai.onnx.ml": ML_OPSET}
    export = functools.partial(convert_sklearn, model, initial_types=initial_types(model, options.example), target_opset=opsets)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the exporter reads attributes that scikit-learn will drop
        try:
            return export(options={"zipmap": False} if is_classifier(model) else None)
        except NameError as error:
            if "zipmap" not in str(error):
                raise
            return export()  # a classifier that has scores, and arrays already


def initial_types(model: Any, example: Any = None) -> list[tuple[str, Any]]:
    """skl2onnx's types of the inputs: from an example where there is one, else from what the model remembers of its training."""
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType, guess_data_type

    if example is not None:
        if hasattr(example, "columns"):
            return [(name, _column_type(example[name].dtype)) for name in example.columns]
        array = np.asarray(example)
        return [(MATRIX, type(kind)([None, *array.shape[1:]])) for _, kind in guess_data_type(array)]
    first = _first(model)
    if hasattr(first, "vocabulary_"):
        return [(MATRIX, StringTensorType([None]))]
    columns = dict(_columns(first)) if hasattr(first, "transformers_") else {}
    if columns:
        return [(name, _column_type(np.dtype(kind))) for name, kind in columns.items()]
    count = getattr(model, "n_features_in_", None)
    if count is None:
        raise ExportError(f"this {type(model).__name__} does not say how many features it takes: give an example of its input")
    return [(MATRIX, StringTensorType([None, count]) if _is_text(first) else FloatTensorType([None, count]))]


def _columns(transformer: Any) -> Iterator[tuple[str, str]]:
    """A ColumnTransformer's columns in order, each with `O` for text or `f`; none where one matrix of numbers will do."""
    count = transformer.n_features_in_
    names = list(getattr(transformer, "feature_names_in_", [f"x{index}" for index in range(count)]))
    text: set[str] = set()
    is_by_name = False
    for _, part, columns in transformer.transformers_:
        chosen = (
            [columns] if isinstance(columns, (str, int)) else list(np.arange(count)[columns] if _is_slice(columns) else columns)
        )
        is_by_name |= any(isinstance(column, str) for column in chosen)
        if _is_text(_first(part)) or hasattr(_first(part), "vocabulary_"):
            text.update(column if isinstance(column, str) else names[column] for column in chosen)
    if text or is_by_name:
        yield from ((name, "O" if name in text else "f") for name in names)


def _is_slice(columns: Any) -> bool:
    return isinstance(columns, slice) or (isinstance(columns, np.ndarray) and columns.dtype == bool)


def _is_text(estimator: Any) -> bool:
    """An encoder or imputer that was fitted on text."""
    learnt = getattr(estimator, "categories_", None) or [getattr(estimator, "statistics_", None)]
    return any(np.asarray(values).dtype.kind in TEXT_KINDS for values in learnt if values is not None)


def _column_type(dtype: Any) -> Any:
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    is_text = getattr(dtype, "kind", "O") in TEXT_KINDS
    return StringTensorType([None, 1]) if is_text else FloatTensorType([None, 1])


def _first(model: Any) -> Any:
    """The estimator that the inputs come to: of a pipeline, the first step."""
    while hasattr(model, "steps"):
        model = model.steps[0][1]
    return model


def _register_boosters() -> None:
    """Let pipelines end in XGBoost's and LightGBM's estimators where those and their converters are installed."""
    if importlib.util.find_spec("onnxmltools") is None:
        return
    for name in ("xgboost", "lightgbm"):
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(f"onnx_import.frameworks.{name}").register()
