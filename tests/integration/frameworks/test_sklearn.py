"""scikit-learn's models from a pickle to a served model that answers as they do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

pytestmark = pytest.mark.slow
HELD_OUT = 40
Served = Callable[..., dict[str, Any]]

CLASSIFIERS = {
    "logistic": (make_pipeline(StandardScaler(), LogisticRegression()), load_wine),
    "forest": (RandomForestClassifier(10, random_state=0), load_breast_cancer),
    "perceptron": (make_pipeline(MinMaxScaler(), MLPClassifier((16,), max_iter=300, tol=1e-2, random_state=0)), load_digits),
    "support": (make_pipeline(StandardScaler(), SVC()), load_wine),
    "neighbours": (KNeighborsClassifier(3), load_wine),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(served: Served, name: str) -> None:
    """The served model gives the classifier's labels, and its probabilities or scores, on rows that it has not seen."""
    model, load = CLASSIFIERS[name]
    x, y = load(return_X_y=True)
    rows = x[:HELD_OUT].astype(np.float32)
    model.fit(x[HELD_OUT:], y[HELD_OUT:])
    outputs = served(model, {"X": rows})
    scores = model.predict_proba(rows) if hasattr(model, "predict_proba") else model.decision_function(rows)
    np.testing.assert_array_equal(outputs["label"], model.predict(rows))
    np.testing.assert_allclose(outputs["probabilities"], scores, rtol=1e-3, atol=1e-5)


def test_a_pickle(served: Served, tmp_path: Path) -> None:
    """A pickled regressor is converted by one command, and the served model gives its numbers."""
    x, y = load_diabetes(return_X_y=True)
    rows = x[:HELD_OUT].astype(np.float32)
    model = GradientBoostingRegressor(n_estimators=20, random_state=0).fit(x[HELD_OUT:].astype(np.float32), y[HELD_OUT:])
    joblib.dump(model, tmp_path / "model.pkl")
    outputs = served(tmp_path / "model.pkl", {"X": rows}, "--trust")
    np.testing.assert_allclose(outputs["variable"][:, 0], model.predict(rows), rtol=1e-4)


def test_columns_of_text_and_numbers(served: Served) -> None:
    """A pipeline that encodes text takes a column by its name, text as text, and answers as it did in Python."""
    wine = load_wine()
    words = np.array(["pale", "rosy", "dark"])[np.digitize(wine.data[:, 9], [3.5, 6.0])]
    table = np.empty((len(words), 3), object)
    table[:, :2], table[:, 2] = wine.data[:, [0, 12]], words
    columns = make_column_transformer((StandardScaler(), [0, 1]), (OneHotEncoder(handle_unknown="ignore"), [2]))
    model = make_pipeline(columns, LogisticRegression()).fit(table[HELD_OUT:], wine.target[HELD_OUT:])
    rows = table[:HELD_OUT]
    numbers = {f"x{index}": rows[:, [index]].astype(np.float32) for index in (0, 1)}
    outputs = served(model, {**numbers, "x2": rows[:, [2]].astype("U4")})
    np.testing.assert_array_equal(outputs["label"], model.predict(rows))
    np.testing.assert_allclose(outputs["probabilities"], model.predict_proba(rows), atol=1e-5)
