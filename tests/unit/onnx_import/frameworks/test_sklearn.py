"""The types of a scikit-learn model's inputs, and what is special about its export."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from onnx_import.frameworks import export
from onnx_import.frameworks.errors import ExportError
from onnx_import.frameworks.sklearn import initial_types
from onnx_import.oracle import answers

ROWS = np.array([[1.0, "a"], [2.0, "b"], [3.0, "a"], [4.0, "c"]], object)
LABELS = [0, 1, 0, 1]


def said(model: BaseEstimator, example: object = None) -> list[tuple[str, str, list[int | None]]]:
    """The inputs' names, types and shapes."""
    return [(name, type(kind).__name__, list(kind.shape)) for name, kind in initial_types(model, example)]


def test_numbers_are_one_matrix() -> None:
    """A model of numbers takes float32 rows of as many features as it was trained on."""
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(np.eye(4), LABELS)
    assert said(model) == [("X", "FloatTensorType", [None, 4])]


def test_text_comes_in_columns_of_its_own() -> None:
    """Where a pipeline encodes text, each column is an input of its type."""
    columns = make_column_transformer((StandardScaler(), [0]), (OneHotEncoder(), [1]))
    model = make_pipeline(columns, LogisticRegression()).fit(ROWS, LABELS)
    assert said(model) == [("x0", "FloatTensorType", [None, 1]), ("x1", "StringTensorType", [None, 1])]
    label, shares = answers(export(model), {"x0": ROWS[:, :1].astype(np.float32), "x1": ROWS[:, 1:]})
    np.testing.assert_array_equal(label, model.predict(ROWS))
    np.testing.assert_allclose(shares, model.predict_proba(ROWS), atol=1e-5)


def test_documents_are_text() -> None:
    """A vectorizer takes a list of documents."""
    documents = ["red fish", "blue fish", "red cow", "blue cow"]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(documents, LABELS)
    assert said(model) == [("X", "StringTensorType", [None])]


def test_an_example_says_the_types() -> None:
    """An array given as an example decides the type and the number of features."""
    model = StandardScaler().fit(np.eye(3))
    assert said(model, np.eye(3)) == [("X", "DoubleTensorType", [None, 3])]


def test_classifiers_answer_with_arrays() -> None:
    """Probabilities are one array, also inside a search; a classifier that has only scores is exported all the same."""
    x = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    y = (x.sum(axis=1) > 0).astype(int)
    search = GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [1, 9]}).fit(x, y)
    label, shares = answers(export(search), {"X": x})
    np.testing.assert_array_equal(label, search.predict(x))
    np.testing.assert_allclose(shares, search.predict_proba(x), atol=1e-5)
    scores = LinearSVC().fit(x, y)
    np.testing.assert_array_equal(answers(export(scores), {"X": x})[0], scores.predict(x))


def test_a_model_that_does_not_know_its_input_asks_for_an_example() -> None:
    """Where nothing says how many features there are, the error says what to give."""

    class Fitted(BaseEstimator):  # type: ignore[misc]
        """An estimator of a user's, fitted, without a count of features."""

        def fit(self) -> None:
            """Nothing to learn."""

        def __sklearn_is_fitted__(self) -> bool:
            """It is."""
            return True

    with pytest.raises(ExportError, match="give an example"):
        export(Fitted())
