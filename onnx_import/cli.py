"""`ei convert`, `ei ops` and `ei export`: heavy modules are imported when a command runs.

Results on stdout, talk on stderr. Exit 0 done, 1 failed (a line that says what, a line that says what to do), 2 usage.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from onnx_import.convert import Conversion, Options

FORMS = click.Choice(["html", "json"])


@click.command(epilog="Example: ei convert model.onnx served/ && serve --model served/")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option("--check", "only_check", is_flag=True, help="Say whether the model can be converted, and stop.")
@click.option(
    "--input-shape",
    "shapes",
    multiple=True,
    metavar="NAME=N,N",
    help="Fix an input's sizes; ? keeps one open. May be repeated.",
)
@click.option(
    "--input-value", "values", multiple=True, metavar="NAME=JSON", help="A value that an input which decides shapes may have."
)
@click.option("--opset", type=click.IntRange(1), help="Convert the ONNX model to this opset first.")
@click.option("--no-verify", is_flag=True, help="Do not compare the answers with ONNX's.")
@click.option("--pack", is_flag=True, help="Also pack model.tar.gz.")
@click.option("--report", "form", type=FORMS, help="Print the whole report in this form, and nothing else.")
@click.option("--trust", is_flag=True, help="Load a pickle: it can run any code.")
def convert(source: Path, target: Path | None, **given: Any) -> int:
    """Convert an ONNX model, or a framework's model file, to an MXNet artifact in the folder TARGET, and prove its answers.

    SOURCE is an .onnx file, or a model of PyTorch, Keras, TensorFlow (SavedModel, TFLite), scikit-learn, XGBoost or LightGBM.
    """
    if target is None and not given["only_check"]:
        raise click.UsageError("name the folder to write: ei convert MODEL.onnx FOLDER (or --check)")
    with _explained(source):
        return _check(source, given) if target is None or given["only_check"] else _convert(source, target, given)


@click.command(epilog="Example: ei ops --json")
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for a program.")
def ops(as_json: bool) -> None:
    """Print the operators that can be converted, with the opsets that each form of them is of, and its limits."""
    from onnx_import import reports

    rows = reports.operators()
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    widths = [max(len(row[column]) for row in rows) for column in ("operator", "opsets")]
    for row in rows:
        print(f"{row['operator']:{widths[0]}}  {row['opsets']:{widths[1]}}  {row['limits']}".rstrip())


@click.command(epilog="Example: ei export served/ model.onnx")
@click.argument("model", type=click.Path(path_type=Path, exists=True))
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--opset", type=click.IntRange(1), help="The opset to write.")
def export(model: Path, target: Path, opset: int | None) -> None:
    """Write the MXNet model in the folder MODEL as the ONNX file TARGET, and prove its answers."""
    with _explained(model):
        from onnx_import import export as exporting

        with _quietly():
            comparisons = exporting.export(model, target, opset=opset)
        for comparison in comparisons:
            print(comparison)
        print(target)


def _convert(source: Path, target: Path, given: dict[str, Any]) -> int:
    from onnx_import import reports

    options = _options(given)
    with _progress(source, options) as tell, _quietly():
        from onnx_import.convert import convert as run

        done: Conversion = run(_model(source, options, given["trust"]), target, options, tell)
    print(reports.render(done, given["form"]) if given["form"] else reports.text(done))
    return 0


def _check(source: Path, given: dict[str, Any]) -> int:
    """Whether the model can be converted; every node that it cannot is named."""
    from onnx_import import reports

    options = _options(given)
    with _quietly():
        from onnx_import.convert import check

        problems = check(_model(source, options, given["trust"]), options)
    print(reports.render_check(problems, given["form"]) if given["form"] else reports.text_of_check(problems))
    return 1 if problems else 0


def _model(source: Path, options: Options, trust: bool) -> Any:
    """The ONNX file's path, or the model that another framework's exporter makes of its file."""
    from onnx_import import frameworks

    return frameworks.export(source, opset=options.opset, trust=trust) if frameworks.is_foreign(source) else source


@contextmanager
def _progress(source: Path, options: Options) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal, a step for each that the conversion tells of; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda step: None
        return
    from onnx_import import frameworks

    first = "exporting" if frameworks.is_foreign(source) else "reading"
    steps = ["exporting"] * (first == "exporting") + ["reading", "optimising", "lowering", "verifying", "writing"]
    steps = [step for step in steps if options.verify or step != "verifying"]
    # By a descriptor of its own: while it is drawn, what MXNet writes to the process' stderr goes nowhere.
    with (
        os.fdopen(os.dup(2), "w") as terminal,
        click.progressbar(length=len(steps), label=f"{first:10}", file=terminal, show_eta=False) as bar,
    ):

        def tell(step: str) -> None:
            bar.label = f"{step:10}"
            bar.update(steps.index(step) - bar.pos)
            bar.render_progress()

        bar.render_progress()
        yield tell
        bar.update(len(steps) - bar.pos)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what MXNet's C++ writes to stderr (which engine it starts): errors come as exceptions."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        ndarray = getattr(sys.modules.get("mxnet"), "nd", None)
        if ndarray is not None:
            ndarray.waitall()  # which engine starts is said when it does: if not now, then at the end
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _explained(source: Path) -> Iterator[None]:
    """An error of ours, or of the file system, as what is wrong and what to do; the exit status is 1."""
    from onnx_import.errors import OnnxImportError

    try:
        yield
        return
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except OnnxImportError as error:
        told = _told(error, source)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        told = f"{where}{error.strerror or error}\nName a file that can be read, and a folder that can be written."
    except Exception as error:  # the command line is a boundary: nobody meets a traceback
        said = (str(error).splitlines() or [""])[0]
        told = f"{type(error).__name__}: {said}\nThis is a defect of ei: please report it, with the model."
    print(f"ei: {told}", file=sys.stderr)
    raise click.exceptions.Exit(1)


def _told(error: Exception, source: Path) -> str:
    from onnx_import import errors, reports

    text = str(error)
    if isinstance(error, errors.UnsupportedModel):
        return f"{source} cannot be converted:\n{reports.listed(error.problems)}\n`ei ops` lists what can be."
    if isinstance(error, errors.VerificationError):
        return f"{text}\nNothing was written. Please report the model; --no-verify converts it all the same."
    if isinstance(error, errors.InvalidInput):
        return f"{text}\nName sizes and values that the model takes: --input-shape NAME=1,3,224,224, --input-value NAME=[2,4]."
    if isinstance(error, errors.InvalidModel):
        return f"{text}\nExport the model again; `ei convert --help` says which files are taken."
    return text


def _options(given: dict[str, Any]) -> Options:
    import numpy as np

    from onnx_import.convert import Options

    shapes, values = {}, {}
    for text in given["shapes"]:
        name, _, sizes = text.rpartition("=")
        try:
            shapes[name] = tuple(None if size == "?" else int(size) for size in sizes.split(",") if size)
        except ValueError:
            name = ""
        if not name:
            raise click.BadParameter(f"--input-shape {text!r}: expected NAME=1,3,224,224, with ? for an open size")
    for text in given["values"]:
        name, _, value = text.partition("=")
        try:
            values[name] = np.asarray(json.loads(value))
        except ValueError:
            name = ""
        if not name:
            raise click.BadParameter(f"--input-value {text!r}: expected NAME=JSON, as in shape=[1,256]")
    return Options(shapes, values, given["opset"], not given["no_verify"], given["pack"])
