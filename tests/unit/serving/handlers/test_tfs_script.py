"""Finding, importing and checking the scripts of TensorFlow models."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.errors import ModelError
from serving.handlers import tfs_script

HANDLER = "def handler(data, context):\n    return 'whole', 'text/plain'\n"
PAIR = "def input_handler(data, context):\n    return data\n\ndef output_handler(response, context):\n    return 'pair', ''\n"


@pytest.fixture(autouse=True)
def _imports() -> Iterator[None]:
    """Each test leaves sys.path and sys.modules as it found them."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def written(path: Path, source: str) -> Path:
    """A file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return path


def loaded(directory: Path, source: str) -> tfs_script.TfsFunctions:
    """The universal script of this source."""
    written(directory / "code" / "inference.py", source)
    scripts = tfs_script.load(directory, "inference.py")
    assert scripts is not None
    assert scripts.universal is not None
    return scripts.universal


def test_no_script(tmp_path: Path) -> None:
    """A model directory without a script has none."""
    assert tfs_script.load(tmp_path, "inference.py", models={"m": tmp_path / "m"}) is None


def test_handler_wins(tmp_path: Path) -> None:
    """Where `handler` is there, the other two are not looked at, not even for faults."""
    functions = loaded(tmp_path, HANDLER + "def input_handler():\n    pass\n")
    assert functions.handler is not None
    assert (functions.input_handler, functions.output_handler) == (None, None)


def test_pair(tmp_path: Path) -> None:
    """Without a `handler` both others are taken."""
    functions = loaded(tmp_path, PAIR)
    assert functions.handler is None
    assert functions.input_handler is not None
    assert functions.output_handler is not None


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("", r"inference\.py cannot be used: it has none of them; expected handler\(data, context\), or both"),
        ("def input_handler(data, context):\n    pass\n", r"it has input_handler alone; expected"),
        ("x = 1\n\ndef output_handler(response, context):\n    pass\n", r"it has output_handler alone"),
        ("\ndef handler(data):\n    pass\n", r"inference\.py:2: handler\(data\) cannot be called with two arguments"),
        ("def handler(data, context, *, more):\n    pass\n", r"inference\.py:1: .*expected handler\(data, context\)"),
        ("async def handler(data, context):\n    pass\n", r"inference\.py:1: handler is an async function"),
        ("handler = 5\n", r"inference\.py: handler is a int"),
        (
            "def input_handler(a, b, c):\n    pass\ndef output_handler():\n    pass\n",
            r"(?s):1: input_handler.*:3: output_handler",
        ),
        ("import json\n1 / 0\n", r"inference\.py:2: ZeroDivisionError"),
        ("import sys\nsys.exit(5)\n", r"sys\.exit\(5\) was called"),
        ("def handler(:\n", r"inference\.py:1"),
    ],
)
def test_what_cannot_be_used_is_named(source: str, fault: str, tmp_path: Path) -> None:
    """A script that cannot be imported, lacks a function, or has one that cannot be called ends the start with its place."""
    with pytest.raises(ModelError) as raised:
        loaded(tmp_path, source)
    assert re.search(fault, str(raised.value)), raised.value


@pytest.mark.parametrize(
    "source",
    [
        "def handler(data, context, more=1):\n    return 'whole', ''\n",
        "def handler(*args):\n    return 'whole', ''\n",
        "import functools\ndef given(data, context, word):\n    return word, ''\nhandler = functools.partial(given, word='whole')\n",
        "class Handler:\n    def __call__(self, data, context):\n        return 'whole', ''\nhandler = Handler()\n",
    ],
)
def test_anything_that_takes_two_arguments(source: str, tmp_path: Path) -> None:
    """Defaults, `*args`, partial functions and objects with `__call__` are as good as a function of two parameters."""
    handler = loaded(tmp_path, source).handler
    assert handler is not None
    assert handler(None, None) == ("whole", "")


def test_own_scripts_beside_the_universal_one(tmp_path: Path) -> None:
    """A model's own script stands before the universal one, and each script sees its own neighbours and its own lib."""
    answers = "from neighbour import WORD\nimport carried\ndef handler(data, context):\n    return WORD + carried.WORD, ''\n"
    for place in ("", "a", "deep/b/model"):
        code = tmp_path / place / "code"
        written(code / "inference.py", answers)
        written(code / "neighbour.py", f"WORD = {place!r}\n")
        written(code / "lib" / f"carried{len(place)}.py", "")
        written(code / "lib" / "carried.py", "WORD = ' carries'\n")
    models = {"a": tmp_path / "a", "b": tmp_path / "deep/b/model/b", "c": tmp_path / "deep/c"}
    scripts = tfs_script.load(tmp_path, "inference.py", models=models)
    assert scripts is not None
    words = []
    for name in models:
        functions = scripts.of(name)
        assert functions is not None
        assert functions.handler is not None
        words.append(functions.handler(None, None)[0])
    assert words == ["a carries", "deep/b/model carries", " carries"]
    assert len(scripts.all) == 3


def test_own_script_alone(tmp_path: Path) -> None:
    """Where only one model has a script, the others have none."""
    written(tmp_path / "a" / "code" / "inference.py", HANDLER)
    scripts = tfs_script.load(tmp_path, "inference.py", models={"a": tmp_path / "a", "b": tmp_path / "b"})
    assert scripts is not None
    assert scripts.of("a") is not None
    assert scripts.of("b") is None


def test_later_imports_of_every_script(tmp_path: Path) -> None:
    """A script may import a neighbour while it answers, whichever script was loaded after it."""
    for name in ("a", "b"):
        source = f"def handler(data, context):\n    import later_{name}\n    return later_{name}.WORD, ''\n"
        written(tmp_path / name / "code" / "inference.py", source)
        written(tmp_path / name / "code" / f"later_{name}.py", f"WORD = {name!r}\n")
    scripts = tfs_script.load(tmp_path, "inference.py", models={"a": tmp_path / "a", "b": tmp_path / "b"})
    assert scripts is not None
    for name, functions in scripts.own.items():
        assert functions.handler is not None
        assert functions.handler(None, None) == (name, "")


def test_another_program(tmp_path: Path) -> None:
    """A program that is named is taken; one that is not there gives way to code/inference.py, as in AWS's container."""
    written(tmp_path / "code" / "inference.py", PAIR)
    written(tmp_path / "code" / "mine.py", HANDLER)
    mine, missing = (tfs_script.load(tmp_path, program) for program in ("mine.py", "gone.py"))
    assert mine is not None
    assert mine.universal is not None
    assert mine.universal.handler is not None
    assert missing is not None
    assert missing.universal is not None
    assert missing.universal.input_handler is not None
    with pytest.raises(ModelError, match=r"gone\.py"):
        tfs_script.load(tmp_path / "empty", "gone.py")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"inference.py": PAIR}, False),
        ({"inference.py": HANDLER}, False),
        ({"inference.py": HANDLER + "def use(context):\n    return context.channel\n"}, True),
        ({"inference.py": PAIR + "PORT = 'grpc_port'\n"}, True),
        ({"inference.py": HANDLER, "asks.py": "import grpc\n"}, True),
        ({"inference.py": HANDLER, "lib/carried.py": ""}, True),
    ],
)
def test_whether_grpc_is_used(files: dict[str, str], expected: bool, tmp_path: Path) -> None:
    """gRPC is for scripts that name it, or the context's channel, somewhere in their folder, or carry code in lib/."""
    for name, source in files.items():
        written(tmp_path / "code" / name, source)
    assert loaded(tmp_path, files["inference.py"]).uses_grpc is expected
