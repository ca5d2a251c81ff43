"""Who may import what: a framework in one place, the environment in one file, and nothing heavy on the way to `--help`."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("serving", "container", "onnx_import")

CONVERTING = (
    *(
        "onnx_import/loader",
        "onnx_import/checks",
        "onnx_import/external",
        "onnx_import/weights",
        "onnx_import/reader",
        "onnx_import/schemas",
        "onnx_import/expand",
        "onnx_import/passes/",
    ),
    *("onnx_import/convert", "onnx_import/verify", "onnx_import/oracle/", "onnx_import/export", "onnx_import/frameworks/"),
    *("onnx_import/cli", "onnx_import/backend", "onnx_import/report"),
)
"""What runs while a model is converted, and never while one is served."""

MAY_IMPORT = {
    "flask": ("serving/control/",),
    "werkzeug": ("serving/control/",),
    "mxnet": ("serving/backends/mxnet", "serving/accelerators/eia", "serving/accelerators/engines/mxnet"),
    "tensorflow": (
        *("serving/backends/tensorflow", "serving/backends/tf_", "serving/tfs/", "onnx_import/frameworks/"),
        *("serving/accelerators/tensorflow/", "serving/accelerators/engines/tensorflow"),
    ),
    "tensorflow_serving": ("serving/tfs/", "serving/backends/tf_"),
    "grpc": ("serving/tfs/rpc.py", "serving/backends/tf_serving.py", "serving/accelerators/rpc/grpc"),
    "hpack": ("serving/accelerators/rpc/",),
    "boto3": ("container/", "serving/codeartifact.py"),
    "docker": ("container/",),
    "sagemaker_inference": (),
    "onnx": (*CONVERTING, "serving/accelerators/engines/onnxruntime"),
    "onnxruntime": ("onnx_import/oracle/", "serving/accelerators/engines/onnxruntime", "serving/accelerators/measure"),
    "joblib": ("onnx_import/frameworks/",),
    "keras": ("onnx_import/frameworks/", "serving/accelerators/tensorflow/"),
    "lightgbm": ("onnx_import/frameworks/",),
    "onnxmltools": ("onnx_import/frameworks/",),
    "skl2onnx": ("onnx_import/frameworks/",),
    "sklearn": ("onnx_import/frameworks/",),
    "tf2onnx": ("onnx_import/frameworks/",),
    "torch": ("onnx_import/frameworks/",),
    "xgboost": ("onnx_import/frameworks/",),
    "scipy": (),
}
"""Package -> the files and folders of ours that may name it."""

TOOLKIT = "serving/toolkit/"
"""Stands under AWS's own package names, so its files import each other by them."""

READS_THE_ENVIRONMENT = ("serving/settings.py",)

FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def where(path: Path) -> str:
    """A file's path from the root, with slashes."""
    return path.relative_to(ROOT).as_posix()


def running(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a tree, save what stands under `if TYPE_CHECKING:`."""
    yield node
    if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
        return
    for child in ast.iter_child_nodes(node):
        yield from running(child)


def imported(path: Path) -> Iterator[str]:
    """Top-level packages that a file imports, anywhere in it but for the type checker alone."""
    for node in running(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def loaded_by(statement: str) -> set[str]:
    """Top-level modules in `sys.modules` after a statement in a clean interpreter."""
    code = f"import sys\n{statement}\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_only_its_place_imports(package: str) -> None:
    """A package is named only by the files that stand for it."""
    strangers = [
        where(path)
        for path in FILES
        if package in imported(path) and not where(path).startswith((*MAY_IMPORT[package], TOOLKIT))
    ]
    assert strangers == []


def test_one_file_knows_the_environment() -> None:
    """`os.environ`, `os.getenv` and `os.putenv` appear in serving/settings.py alone."""
    names = {"environ", "environb", "getenv", "putenv"}
    readers = [
        where(path)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in names and getattr(node.value, "id", "") == "os")
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and names & {alias.name for alias in node.names})
    ]
    assert set(readers) <= set(READS_THE_ENVIRONMENT)


def test_serving_does_not_know_the_container_tools() -> None:
    """The server never imports the tools that ship it."""
    assert [where(path) for path in FILES if where(path).startswith("serving/") and "container" in imported(path)] == []


def test_the_request_line_is_plain() -> None:
    """The request line loads no HTTP, no framework and no image library."""
    assert not loaded_by("import serving.invocation, serving.codecs") & {"flask", "gunicorn", "httptools", "mxnet", "PIL"}


def test_mxnet_comes_alone() -> None:
    """MXNet's backend brings neither scipy nor scikit-learn, which cost a second and a second OpenMP runtime."""
    code = (
        "from serving.backends.mxnet_import import import_mxnet; import_mxnet();"
        "maps = open('/proc/self/maps').read();"
        "print(len({l.split()[-1] for l in maps.splitlines() if 'libgomp' in l}), file=sys.stderr);"
        "assert len({l.split()[-1] for l in maps.splitlines() if 'libgomp' in l}) == 1"
    )
    assert not loaded_by(code) & {"scipy", "sklearn"}


def test_help_is_light() -> None:
    """`ei --help` and `serve --help` load no framework, no cloud and no Docker client."""
    heavy = {"mxnet", "numpy", "flask", "boto3", "docker", "onnx"}
    assert not loaded_by("import container.cli, serving.__main__") & heavy
