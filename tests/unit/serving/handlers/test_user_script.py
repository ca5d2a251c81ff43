"""The functions of a user script: found, counted, and put behind one calling convention."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from serving.errors import ModelError
from serving.handlers import user_script
from serving.handlers.user_script import PARAMETERS, UserFunctions

ARGUMENTS: dict[str, tuple[str, ...]] = {**PARAMETERS, "input_fn": ("input_data", "content_type", "the model")}


@pytest.fixture(autouse=True)
def _path() -> Iterator[None]:
    """Each test starts with the interpreter's own sys.path."""
    path = list(sys.path)
    yield
    sys.path[:] = path


def made(source: str) -> UserFunctions:
    """The functions of a script given as text."""
    module = ModuleType("inference")
    exec(compile(source, "/scripts/inference.py", "exec"), module.__dict__)
    return user_script.from_module(module, Path("/scripts/inference.py"))


def call(functions: UserFunctions, name: str) -> Any:
    """What the named function answers to its fixed arguments and "the context"."""
    return getattr(functions, name)(*ARGUMENTS[name], "the context")


@pytest.mark.parametrize("name", PARAMETERS)
def test_without_context(name: str) -> None:
    """A function of n parameters gets its n arguments."""
    functions = made(f"def {name}({', '.join(PARAMETERS[name])}):\n    return list(locals().values())")
    assert call(functions, name) == list(PARAMETERS[name])
    assert functions.names == (name,)
    assert not functions.uses_context


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("last", ["context", "ctx", "context=None", "*rest", "*, context", "*, context=None", "**kwargs"])
def test_with_context(name: str, last: str) -> None:
    """One parameter more is the context, whatever its name and kind; defaults and *args count."""
    functions = made(f"def {name}({', '.join(PARAMETERS[name])}, {last}):\n    return list(locals().values())")
    *given, context = call(functions, name)
    assert given == list(PARAMETERS[name])
    assert context in ("the context", ("the context",), {"context": "the context"})
    assert functions.uses_context


def test_input_fn_with_the_model() -> None:
    """A third parameter called `model` gets the model, and a fourth the context."""
    three = made("def input_fn(data, content_type, model):\n    return data, content_type, model")
    assert (call(three, "input_fn"), three.input_takes_model) == (ARGUMENTS["input_fn"], True)
    four = made("def input_fn(data, content_type, model, context):\n    return data, content_type, model, context")
    assert call(four, "input_fn") == (*ARGUMENTS["input_fn"], "the context")
    other = made("def input_fn(data, content_type, third):\n    return third")
    assert (call(other, "input_fn"), other.input_takes_model) == ("the context", False)


def test_mxnet_style_transform_fn() -> None:
    """The MXNet container's names for transform_fn's parameters change nothing."""
    functions = made(
        "def transform_fn(net, data, input_content_type, output_content_type):\n    return net, output_content_type"
    )
    assert call(functions, "transform_fn") == ("model", "accept")


def test_callables_that_are_no_functions() -> None:
    """Bound methods, partial functions, callable objects and *args alone are counted and called like functions."""
    functions = made(
        "import functools\n"
        "class C:\n"
        "    def __call__(self, prediction, accept): return prediction\n"
        "    def model_fn(self, model_dir): return model_dir\n"
        "def both(scale, data, model): return data\n"
        "output_fn = C()\n"
        "model_fn = C().model_fn\n"
        "predict_fn = functools.partial(both, 3)\n"
        "input_fn = lambda *args: args\n"
    )
    assert [call(functions, name) for name in ("output_fn", "model_fn", "predict_fn")] == ["prediction", "model_dir", "data"]
    assert call(functions, "input_fn") == ("input_data", "content_type")
    assert call(made("def model_fn(*args, **kwargs): return args, kwargs"), "model_fn") == (("model_dir",), {})


def test_empty_script_means_defaults() -> None:
    """A script without functions, or with None for them, replaces nothing."""
    functions = made("input_fn = None\nx = 1\n")
    assert (functions.names, functions.needs_default_model) == ((), True)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (
            "def input_fn(data):\n    pass",
            "inference.py:1: input_fn takes 1 parameter; expected input_fn(input_data, content_type) or",
        ),
        ("\n\ndef predict_fn(a, b, c, d):\n    pass", "inference.py:3: predict_fn takes 4 parameters"),
        ("def model_fn():\n    pass", "model_fn takes 0 parameters"),
        ("output_fn = 'text'", "output_fn is a str"),
        ("async def predict_fn(data, model):\n    pass", "predict_fn is an async function"),
        ("async def output_fn(p, a):\n    yield 1", "output_fn is an async function"),
        ("def transform_fn(m, d, c, a): pass\ndef input_fn(d, c): pass", "transform_fn does the work of input_fn"),
    ],
)
def test_faults_name_file_line_and_function(source: str, fault: str) -> None:
    """A function that cannot be called as it must is named with its line and what was expected."""
    with pytest.raises(ModelError) as error:
        made(source)
    assert fault in str(error.value)


def test_all_faults_at_once() -> None:
    """Two wrong functions are two lines of one message."""
    with pytest.raises(ModelError) as error:
        made("def input_fn(): pass\ndef output_fn(): pass")
    assert "input_fn takes 0" in str(error.value)
    assert "output_fn takes 0" in str(error.value)


@pytest.mark.parametrize(
    ("names", "needs"),
    [("input_fn output_fn", True), ("predict_fn", False), ("transform_fn", False), ("model_fn", False), ("pre_model_fn", True)],
)
def test_needs_default_model(names: str, needs: bool) -> None:
    """The model directory's model is loaded only where no function stands in for it."""
    source = "\n".join(f"def {name}({', '.join(PARAMETERS[name])}): pass" for name in names.split())
    assert made(source).needs_default_model is needs


def test_load_makes_the_script_importable(tmp_path: Path) -> None:
    """Loading finds code/inference.py, its neighbours, and `lib` before them."""
    code = tmp_path / "code"
    (code / "lib").mkdir(parents=True)
    (code / "lib" / "vendored_thing.py").write_text("WHERE = 'lib'")
    (code / "vendored_thing.py").write_text("WHERE = 'code'")
    (code / "inference.py").write_text("import vendored_thing\ndef model_fn(model_dir): return vendored_thing.WHERE")
    functions = user_script.load(tmp_path, "inference.py", "")
    assert functions is not None
    assert functions.model_fn is not None
    assert functions.model_fn("x", None) == "lib"


def test_no_script_is_none(tmp_path: Path) -> None:
    """A model directory without a script has no user functions."""
    assert user_script.load(tmp_path, "inference.py", "") is None
