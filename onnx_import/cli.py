"""`ei convert`, `ei ops` and `ei export`: heavy modules are imported when a command runs.

Results on stdout, talk on stderr. Exit 0 done, 1 failed (a line or a list that says why), 2 usage.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from onnx_import.convert import Conversion, Options
    from onnx_import.errors import Problem


@click.command(epilog="Example: ei convert model.onnx served/ --input-shape image=1,3,224,224")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path), required=False)
@click.option("--check", "only_check", is_flag=True, help="Say whether the model can be converted, and stop.")
@click.option("--input-shape", "shapes", multiple=True, metavar="NAME=N,N", help="Fix an input's sizes; ? keeps one open.")
@click.option(
    "--input-value",
    "values",
    multiple=True,
    metavar="NAME=JSON",
    help="Trace with this value of an input that determines shapes.",
)
@click.option("--opset", type=click.IntRange(1), help="Convert the ONNX model to this opset first.")
@click.option("--no-verify", is_flag=True, help="Do not compare the answers with ONNX's.")
@click.option("--pack", is_flag=True, help="Also pack model.tar.gz.")
@click.option("--report", type=click.Choice(["html", "json"]), help="Write the report to stdout in this form.")
@click.option("--trust", is_flag=True, help="Load a pickle: it can run any code.")
def convert(source: Path, target: Path | None, **given: Any) -> int:
    """Convert an ONNX model, or a framework's model file, to an MXNet artifact in the folder TARGET, and prove its answers."""
    from onnx_import import frameworks, reports

    options = _options(given)
    model: Any = source
    if frameworks.is_foreign(source):
        model = frameworks.export(source, trust=given["trust"])
    if given["only_check"]:
        return _check(model, options)
    if target is None:
        raise click.UsageError("name the folder to write: ei convert MODEL.onnx FOLDER (or --check)")
    done = _convert(model, target, options)
    print(reports.render(done, given["report"]) if given["report"] else reports.text(done))
    return 0


@click.command(epilog="Example: ei ops --json")
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for a program.")
def ops(as_json: bool) -> None:
    """Print the operators that can be converted, with the opsets that each form of them is of, and its limits."""
    from onnx_import import registry

    rows = registry.table()
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    width = max(len(row["operator"]) for row in rows)
    for row in rows:
        print(f"{row['operator']:{width}}  {row['opsets']:<8}  {row['limits']}".rstrip())


@click.command(epilog="Example: ei export served/ model.onnx")
@click.argument("model", type=click.Path(path_type=Path, exists=True))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--opset", type=click.IntRange(1), help="The opset to write.")
def export(model: Path, target: Path, opset: int | None) -> None:
    """Write the MXNet model in the folder MODEL as the ONNX file TARGET, and prove its answers."""
    from onnx_import import export as exporting

    for comparison in exporting.export(model, target, opset=opset):
        print(comparison)


def _convert(model: Any, target: Path, options: Options) -> Conversion:
    from onnx_import.convert import convert as run

    if not sys.stderr.isatty():
        return run(model, target, options)
    steps = ("reading", "optimising", "lowering", "verifying", "writing")
    with click.progressbar(length=len(steps), label="reading", file=sys.stderr) as bar:

        def tell(step: str) -> None:
            bar.label = step
            bar.update(1)

        return run(model, target, options, tell)


def _check(model: Any, options: Options) -> int:
    from onnx_import.convert import check

    problems = check(model, options)
    print("\n".join(map(_line, problems)) if problems else "every node can be converted")
    return 1 if problems else 0


def _line(problem: Problem) -> str:
    return str(problem)


def _options(given: dict[str, Any]) -> Options:
    import numpy as np

    from onnx_import.convert import Options

    shapes, values = {}, {}
    for text in given["shapes"]:
        name, _, sizes = text.rpartition("=")
        try:
            shapes[name] = tuple(None if size == "?" else int(size) for size in sizes.split(",") if size)
        except ValueError:
            raise click.BadParameter(f"{text!r}: expected NAME=1,3,224,224, with ? for an open size") from None
    for text in given["values"]:
        name, _, value = text.partition("=")
        try:
            values[name] = np.asarray(json.loads(value))
        except ValueError:
            raise click.BadParameter(f"{text!r}: expected NAME=JSON, as in shape=[1,256]") from None
    return Options(shapes, values, given["opset"], not given["no_verify"], given["pack"])
