"""How many cases of ONNX's own backend suite convert and answer rightly, and how many of these as one plain MXNet symbol.

The cases are those that the installed `onnx` package brings: every operator's node cases and their function bodies, and the models of
its data folder. Six Bernoulli cases, which expect one particular random draw, are left out, as in onnx's own tests.
`tests/conformance/test_onnx_suite.py` runs the same cases.
"""

from __future__ import annotations

import collections
import functools
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if not __package__:  # run as a script: this folder, which Python puts first, has a serving.py too
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import onnx
import onnx.backend.test
from onnx import numpy_helper

from benchmarks import harness
from benchmarks.peers import onnx_engines
from onnx_import import backend
from onnx_import.errors import UnsupportedModel
from onnx_import.stages import SymbolStage

DATA = Path(onnx.backend.test.__file__).parent / "data"
FAMILIES = ("node", "node-expanded", "simple", "pytorch-operator", "pytorch-converted", "light")
RANDOM = re.compile(r"^test_bernoulli")
RTOL, ATOL = 1e-3, 1e-7

DataSet = tuple[list[Any], list[Any]]


@dataclass(frozen=True)
class Case:
    """One case: its model and data sets are made when asked for."""

    family: str
    name: str
    make: Callable[[], tuple[onnx.ModelProto, list[DataSet]]]
    rtol: float = RTOL
    atol: float = ATOL


@dataclass(frozen=True)
class Verdict:
    """`pass`, `unsupported` or `wrong`, why, and whether one MXNet symbol without host functions did it."""

    verdict: str
    reason: str = ""
    is_plain: bool = False


def cases() -> list[Case]:
    """Every case of the installed package."""
    return [*_node_cases(), *_file_cases(), *_light_cases()]


def judge(case: Case, prepare: Callable[[onnx.ModelProto], Any] = backend.prepare) -> Verdict:
    """Convert and run one case, each data set twice: the second time from the remembered trace."""
    model, data_sets = case.make()
    try:
        prepared = prepare(model)
        names = [info.name for info in fed(model)]
        for inputs, wanted in data_sets:
            for _ in range(2):
                got = prepared.run(dict(zip(names, inputs, strict=True)))
                fault = difference(list(got), wanted, case.rtol, case.atol)
                if fault:
                    return Verdict("wrong", fault)
    except (UnsupportedModel, onnx_engines.Refused) as error:
        return Verdict("unsupported", str(error).splitlines()[0])
    except Exception as error:  # a verdict is wanted for every case
        return Verdict("wrong", f"{type(error).__name__}: {error}".splitlines()[0])
    blocks = prepared.program.last if prepare is backend.prepare else []
    return Verdict("pass", "", len(blocks) == 1 and all(isinstance(stage, SymbolStage) for stage in blocks[0].stages))


def fed(model: onnx.ModelProto) -> list[Any]:
    """The inputs that are to be fed: those without an initializer."""
    given = {tensor.name for tensor in model.graph.initializer}
    return [info for info in model.graph.input if info.name not in given]


def difference(got: list[Any], wanted: list[Any], rtol: float, atol: float) -> str:
    """What differs, as onnx's own runner compares; empty where nothing does."""
    if len(got) != len(wanted):
        return f"{len(got)} outputs, {len(wanted)} expected"
    for mine, theirs in zip(got, wanted, strict=True):
        if isinstance(theirs, (list, tuple)) or isinstance(mine, list):
            fault = difference(list(mine), list(theirs), rtol, atol)
        elif theirs is None or mine is None:
            fault = "" if theirs is mine else "one of them is None"
        else:
            fault = _differing_arrays(np.asarray(mine), np.asarray(theirs), rtol, atol)
        if fault:
            return fault
    return ""


def _differing_arrays(got: Any, want: Any, rtol: float, atol: float) -> str:
    if got.shape != want.shape:
        return f"shape {got.shape}, expected {want.shape}"
    if want.dtype.kind in "OUS":
        return "" if [str(a) for a in got.ravel()] == [_text(b) for b in want.ravel()] else "text differs"
    if got.dtype != want.dtype:
        return f"dtype {got.dtype}, expected {want.dtype}"
    if want.dtype.isbuiltin == 2:  # of ml_dtypes
        rtol = max(rtol, 2.0**-6) if want.dtype.name == "bfloat16" else rtol
        got, want = got.astype(np.float32), want.astype(np.float32)
    if np.allclose(got, want, rtol, atol, equal_nan=True):
        return ""
    return f"values differ by up to {np.nanmax(np.abs(got.astype(np.float64) - want.astype(np.float64))):.3g}"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _node_cases() -> Iterator[Case]:
    from onnx.backend.test.loader import load_node_model_tests

    np.random.seed(0)  # some cases draw their inputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = load_node_model_tests()
    for case in loaded:
        if not RANDOM.match(case.name):
            family = "node-expanded" if "_expanded" in case.name else "node"
            yield Case(family, case.name, lambda case=case: (case.model, _arrays(case)), case.rtol, case.atol)


def _arrays(case: Any) -> list[DataSet]:
    """The data sets of a node case; some hold protos."""
    infos = (fed(case.model), case.model.graph.output)
    return [tuple([_value(v, i) for v, i in zip(values, kind, strict=True)] for values, kind in zip(pair, infos, strict=True))
            for pair in case.data_sets]  # type: ignore[misc]  # fmt: skip


def _value(value: Any, info: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, onnx.SequenceProto):
        return numpy_helper.to_list(value)
    if isinstance(value, onnx.OptionalProto):
        return numpy_helper.to_optional(value)
    if value is None or isinstance(value, (list, dict)):
        return value
    kind = info.type.WhichOneof("value")
    # Python numbers and 0-d arrays as the declared type has them.
    return np.asarray(value) if kind in ("tensor_type", "optional_type") else list(value)


def _file_cases() -> Iterator[Case]:
    for family in ("simple", "pytorch-operator", "pytorch-converted"):
        for folder in sorted((DATA / family).iterdir()):
            if (folder / "model.onnx").exists():
                yield Case(family, folder.name, lambda folder=folder: _from_files(folder))


def _from_files(folder: Path) -> tuple[onnx.ModelProto, list[DataSet]]:
    model = onnx.load(folder / "model.onnx")
    sets = []
    for data in sorted(folder.glob("test_data_set_*")):
        pair = [[_from_file(data / f"{kind}_{index}.pb", info) for index, info in enumerate(infos)]
                for kind, infos in (("input", fed(model)), ("output", model.graph.output))]  # fmt: skip
        sets.append((pair[0], pair[1]))
    return model, sets


def _from_file(path: Path, info: Any) -> Any:
    kinds = {"sequence_type": onnx.SequenceProto, "optional_type": onnx.OptionalProto}
    kind = kinds.get(info.type.WhichOneof("value"), onnx.TensorProto)
    return _value(kind.FromString(path.read_bytes()), info)


def _light_cases() -> Iterator[Case]:
    for path in sorted((DATA / "light").glob("*.onnx")):
        name = "test_" + path.stem.removeprefix("light_")
        yield Case("light", name, lambda path=path: _light(path), 2e-3 if "densenet" in name else RTOL)


def _light(path: Path) -> tuple[onnx.ModelProto, list[DataSet]]:
    model = onnx.load(path)
    inputs = []
    for info in fed(model):
        shape = [dim.dim_value or 1 for dim in info.type.tensor_type.shape.dim]
        count = int(np.prod(shape))
        inputs.append((np.arange(count).reshape(shape) / count).astype(np.float32))
    files = [path.with_name(f"{path.stem}_output_{index}.pb") for index in range(len(model.graph.output))]
    outputs = [numpy_helper.to_array(onnx.TensorProto.FromString(file.read_bytes())) for file in files]
    return model, [(inputs, outputs)]


def main() -> int:
    """Run every case and print a table of the families."""
    parser = harness.arguments(__doc__ or "", rounds=1)
    parser.add_argument("--only", default="", help="cases whose family/name matches this expression")
    parser.add_argument("--engine", choices=["ours", "onnxruntime", "reference"], default="ours", help="whose answers [ours]")
    parser.add_argument("--failures", action="store_true", help="print every case that did not pass, and why")
    options = parser.parse_args()
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    found = {}
    for case in cases():
        key = f"{case.family}/{case.name}"
        if not re.search(options.only, key):
            continue
        verdict = judge(
            case, backend.prepare if options.engine == "ours" else functools.partial(onnx_engines.Prepared, options.engine)
        )
        found[key] = {"verdict": verdict.verdict, "plain": verdict.is_plain, "reason": verdict.reason}
        for family in (case.family, "all"):
            counts[family].update(["cases", verdict.verdict, *(["plain"] if verdict.is_plain else [])])
        if options.failures and verdict.verdict != "pass":
            print(f"{verdict.verdict:<12} {key}: {verdict.reason}", flush=True)
    headers = ["family", "cases", "pass", "plain", "unsupported", "wrong"]
    rows = [
        [family, *(str(counts[family][header]) for header in headers[1:])] for family in (*FAMILIES, "all") if family in counts
    ]
    print(harness.markdown(headers, rows))
    harness.write(options.json, {"onnx": onnx.__version__, "counts": {k: dict(v) for k, v in counts.items()}, "cases": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
