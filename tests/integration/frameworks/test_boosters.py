"""XGBoost's and LightGBM's native files to served models; what their exporters get wrong is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.feature_selection import SelectKBest
from sklearn.pipeline import make_pipeline

from onnx_import import frameworks
from onnx_import.frameworks.errors import WrongExport
from onnx_import.oracle import answers

HELD_OUT = 40
TREES = {"n_estimators": 12, "max_depth": 3, "random_state": 0, "n_jobs": 1}
Served = Callable[..., dict[str, Any]]
DATA = {"binary": load_breast_cancer, "classes": load_wine, "regression": load_diabetes}


def split(kind: str) -> tuple[Any, Any, Any]:
    """Rows and targets to train on, and rows held out."""
    x, y = DATA[kind](return_X_y=True)
    x = x.astype(np.float32)
    return x[HELD_OUT:], y[HELD_OUT:], x[:HELD_OUT]


def estimator(library: Any, kind: str) -> Any:
    """An untrained model."""
    names = {"xgboost": ("XGBClassifier", "XGBRegressor"), "lightgbm": ("LGBMClassifier", "LGBMRegressor")}
    quiet = {"verbose": -1} if library is lightgbm else {}
    return getattr(library, names[library.__name__][kind == "regression"])(**TREES, **quiet)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["binary", "regression"])
@pytest.mark.parametrize("library", [xgboost, lightgbm], ids=lambda library: library.__name__)
def test_native_files(served: Served, tmp_path: Path, library: Any, kind: str) -> None:
    """The served model answers as the trained one, on rows that it has not seen."""
    x, y, rows = split(kind)
    model = estimator(library, kind).fit(x, y)
    path = tmp_path / ("model.txt" if library is lightgbm else "model.ubj")
    (model.booster_ if library is lightgbm else model).save_model(path)
    outputs = served(path, {"X": rows})
    if kind == "regression":
        np.testing.assert_allclose(outputs["variable"][:, 0], model.predict(rows), rtol=1e-4)
    else:
        np.testing.assert_array_equal(outputs["label"], model.predict(rows))
        np.testing.assert_allclose(outputs["probabilities"], model.predict_proba(rows), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("library", [xgboost, lightgbm], ids=lambda library: library.__name__)
def test_estimators(served: Served, library: Any) -> None:
    """An estimator at hand, here one that tells three classes, answers as before when it is converted and served."""
    x, y, rows = split("classes")
    model = estimator(library, "classes").fit(x, y)
    outputs = served(model, {"X": rows})
    np.testing.assert_array_equal(outputs["label"], model.predict(rows))
    np.testing.assert_allclose(outputs["probabilities"], model.predict_proba(rows), atol=1e-5)


@pytest.mark.parametrize("library", [xgboost, lightgbm], ids=lambda library: library.__name__)
def test_early_stopping_counts(library: Any) -> None:
    """Of a model that stopped early, the trees up to its best iteration answer, as when it predicts itself."""
    x, y, rows = split("classes")
    stop = {"early_stopping_rounds": 1} if library is xgboost else {}
    model = estimator(library, "classes").set_params(n_estimators=60, learning_rate=0.9, **stop)
    if library is xgboost:
        model.fit(x[::2], y[::2], eval_set=[(x[1::2], y[1::2])], verbose=False)
    else:
        model.fit(x[::2], y[::2], eval_X=(x[1::2],), eval_y=(y[1::2],), callbacks=[lightgbm.early_stopping(1, verbose=False)])
    assert model.best_iteration_ < 59 if library is lightgbm else model.best_iteration < 59
    label, shares = answers(frameworks.export(model), {"X": rows})
    np.testing.assert_array_equal(label, model.predict(rows))
    np.testing.assert_allclose(shares, model.predict_proba(rows), atol=1e-5)


@pytest.mark.parametrize("library", [xgboost, lightgbm], ids=lambda library: library.__name__)
@pytest.mark.parametrize("kind", ["classes", "regression"])
def test_in_a_pipeline(library: Any, kind: str) -> None:
    """A scikit-learn pipeline may end in these estimators."""
    x, y, rows = split(kind)
    model = make_pipeline(SelectKBest(k=5), estimator(library, kind)).fit(x, y)
    *_, last = answers(frameworks.export(model), {"X": rows})
    expected = model.predict(rows)[:, None] if kind == "regression" else model.predict_proba(rows)
    np.testing.assert_allclose(last, expected, rtol=1e-3, atol=1e-4)


def test_names_and_categories_are_heeded(tmp_path: Path) -> None:
    """An XGBoost model with names of its own for its features, one of them a category, answers as it does itself."""
    x, y, rows = split("binary")
    x[:, 0], rows[:, 0] = np.round(x[:, 0]) % 5, np.round(rows[:, 0]) % 5
    named = {"feature_types": ["c"] + ["q"] * 29, "feature_names": [f"column {index}" for index in range(30)]}
    matrix = xgboost.DMatrix(x, y, enable_categorical=True, **named)
    booster = xgboost.train({"objective": "binary:logistic", "max_cat_to_onehot": 1}, matrix, 8)
    booster.save_model(tmp_path / "model.json")
    _, shares = answers(frameworks.export(tmp_path / "model.json"), {"X": rows})
    expected = booster.predict(xgboost.DMatrix(rows, enable_categorical=True, **named))
    np.testing.assert_allclose(shares[:, 1], expected, atol=1e-5)


@pytest.mark.parametrize("objective", ["rank:pairwise", "binary:logitraw", "rank:ndcg"])
def test_wrong_exports_are_refused(objective: str) -> None:
    """Where the exporter takes an objective for another one, the model is refused, not converted to wrong numbers."""
    x, y, _ = split("binary")
    booster = xgboost.train({"objective": objective}, xgboost.DMatrix(x, y), 4)
    with pytest.raises(WrongExport, match="answers differently"):
        frameworks.export(booster)
