"""`EIPredictor` and the names that scripts import it by, in this process; integration tests run it on an accelerator."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.accelerators.errors import UNDETECTED, AcceleratorError
from serving.accelerators.tensorflow.predictor import EIPredictor
from tests import tf_models
from tests.unit.serving.accelerators.tensorflow_graphs import doubling, frozen, write

NAMES = {"input_names": {"image": "image:0"}, "output_names": {"double": "prediction:0"}}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No accelerator is declared."""
    for name in ("EI_ACCELERATORS", "EI_FALLBACK", "EI_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


def local(name: str, *given: Any, **named: Any) -> EIPredictor:
    """A predictor of a model of tests/tf_models.py, in this process."""
    return EIPredictor(f"{min((tf_models.models() / name).glob('[0-9]*'))}/", *given, use_ei=False, **named)


@pytest.mark.parametrize("value", [np.random.default_rng(0).random((2, 64)), [[1] * 64, [2] * 64], np.ones((1, 64), "uint8")])
def test_values_are_cast(value: Any) -> None:
    """float64, whole numbers and lists are taken for what the input is."""
    found = local("half")({"x": value})
    assert found["y"].dtype == np.float32
    assert found["y"] == pytest.approx(np.asarray(value, "float32") * 0.5 + 2)


def test_the_dict_is_the_callers() -> None:
    """Each call gives a fresh dict of arrays that may be written to."""
    predictor = local("half")
    first = predictor({"x": np.ones((1, 64))})
    first["y"][:] = 0
    first["more"] = first["y"]
    assert (predictor({"x": np.ones((1, 64))})["y"] == 2.5).all()


def test_sizes_change_between_calls() -> None:
    """Rows may be as many as one likes, in each call."""
    predictor = local("half")
    assert [len(predictor({"x": np.ones((rows, 64))})["y"]) for rows in (1, 5, 2)] == [1, 5, 2]


def test_feed_and_fetch_tensors() -> None:
    """Scripts read the aliases, and the names behind them, in the signature's order."""
    predictor = local("pair")
    assert (list(predictor.feed_tensors), list(predictor.fetch_tensors)) == (["a", "b"], ["product", "sum"])
    first = predictor.feed_tensors["a"]
    assert (first.name, first.dtype, first.shape) == ("serving_default_a:0", np.float32, (None, 2))


def test_a_frozen_graph(tmp_path: Path) -> None:
    """A frozen .pb is run by its name maps, whose aliases are free."""
    predictor = EIPredictor(str(frozen(tmp_path / "graph.pb")), use_ei=False, **NAMES)
    assert predictor({"image": [1, 2]})["double"].tolist() == [2.0, 4.0]
    assert (list(predictor.feed_tensors), str(predictor.fetch_tensors["double"])) == (["image"], "prediction:0")


@pytest.mark.parametrize("tags", ["serve,gpu", {"serve", "gpu"}, ["gpu", "serve"]])
def test_tags(tags: Any) -> None:
    """Tags are a string or a collection."""
    assert (local("tags", tags=tags)({"x": np.ones((1, 64))})["y"] == 2.5).all()


def test_one_tag_as_a_plain_string() -> None:
    """`tags="serve"`, as the guide has it."""
    assert (local("half", tags="serve")({"x": np.ones((1, 64))})["y"] == 2.5).all()


def test_a_signature_by_its_key_by_itself_and_by_export_dir(tmp_path: Path) -> None:
    """A signature is named, or given as TensorFlow's own message; `export_dir` is `model_dir`."""
    two = {"a": np.ones((1, 2)), "b": np.ones((1, 2))}
    assert local("pair", "total")(two)["total"] == 4
    meta = doubling()
    folder = write(tmp_path, meta)
    predictor = EIPredictor(export_dir=str(folder), signature_def=meta.signature_def["serving_default"], use_ei=False)
    assert predictor({"x": [3]})["y"] == [6]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "needs model_dir"),
        ({"model_dir": "half", "input_names": {"a": "b:0"}}, "come together"),
        ({"model_dir": "half", "signature_def_key": "x", **NAMES}, "at most one"),
        ({"model_dir": "half", "signature_def_key": "nope"}, "no signature 'nope'; it has serving_default"),
        ({"model_dir": "frozen"}, "frozen graph, which has no signatures"),
        ({"model_dir": "missing"}, "holds no saved_model.pb"),
        ({"model_dir": "half", "tags": "train"}, "no graph with the tags train"),
    ],
)
def test_arguments_that_make_no_sense(tmp_path: Path, given: dict[str, Any], told: str) -> None:
    """One line says what is wrong, before anything is sent."""
    places = {"half": tf_models.models() / "half" / "1", "frozen": frozen(tmp_path / "graph.pb"), "missing": tmp_path / "none"}
    if "model_dir" in given:
        given = {**given, "model_dir": str(places[given["model_dir"]])}
    with pytest.raises(Exception, match=told) as caught:
        EIPredictor(**given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("feed", "told"), [({}, "missing \\['x'\\]"), ({"x": 1, "z": 2}, "unknown \\['z'\\]"), ({"x": "text"}, "float32")]
)
def test_feeds_that_are_none(feed: dict[str, Any], told: str) -> None:
    """A feed with other aliases, or with what is no number, is a ValueError."""
    with pytest.raises(ValueError, match=told):
        local("half")(feed)


def test_without_an_accelerator() -> None:
    """None is there: the phrase that users search for, and what to set; EI_FALLBACK=cpu runs the model here."""
    with pytest.raises(AcceleratorError, match=f"{UNDETECTED}.*EI_ACCELERATORS"):
        EIPredictor(str(tf_models.models() / "half" / "1"))


def test_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    """EI_FALLBACK=cpu runs the model in this process where no accelerator is there."""
    monkeypatch.setenv("EI_FALLBACK", "cpu")
    assert (EIPredictor(str(tf_models.models() / "half" / "1"))({"x": np.ones((1, 64))})["y"] == 2.5).all()


CODE = """
import sys
from serving import toolkit
toolkit.install()
from tensorflow.contrib.ei.python.predictor.ei_predictor import EIPredictor
from ei_for_tf.python.predictor.ei_predictor import EIPredictor as Other
import tensorflow.contrib.ei.python.keras.ei_keras
assert EIPredictor is Other
"""


def plain(code: str) -> str:
    """What a program prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tf_models.ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_import_paths_come_without_tensorflow() -> None:
    """The predictor is there under the names of both generations, and TensorFlow is not imported for it."""
    code = CODE.replace("import tensorflow.contrib.ei.python.keras.ei_keras\n", "")
    folder = str(tf_models.models() / "half" / "1")
    told = plain(f"{code}EIPredictor({folder!r}, use_ei=False)\nprint('tensorflow' in sys.modules)")
    assert told == "False\n"


def test_tensorflow_is_what_it_was() -> None:
    """`import tensorflow` is the real one beside our modules, and other parts of `contrib` are missing, as before."""
    told = plain(
        CODE
        + "import tensorflow as tf\ntry:\n    import tensorflow.contrib.slim\nexcept ImportError as error:\n    print(error.name)\n"
        "print(int(tf.constant(1) + 1), hasattr(tensorflow, 'keras'))"
    )
    assert told == "tensorflow.contrib.slim\n2 True\n"


def test_a_genuine_build_wins(tmp_path: Path) -> None:
    """Where TensorFlow brings `contrib.ei` itself, ours is not put in its place."""
    package = tmp_path / "tensorflow"
    for part in ("", "contrib", "contrib/ei"):
        (package / part).mkdir(exist_ok=True)
        (package / part / "__init__.py").touch()
    (package / "contrib" / "ei" / "__init__.py").write_text("genuine = True\n")
    code = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nfrom serving import toolkit\ntoolkit.install()\n"
    assert plain(code + "import tensorflow.contrib.ei as ei\nprint(ei.genuine)") == "True\n"
