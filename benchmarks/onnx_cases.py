"""Whether converted real models answer rightly: every case of an index of models, with the tolerance that stands there.

The folder holds models.json (name, model, outputs, tolerance, cases with their files) and NAME/FILE.npz with arrays `in_NAME` and
`out_NAME`. A model passes when all of its cases do: shapes, dtypes, and values.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

if not __package__:  # run as a script: this folder, which Python puts first, has a serving.py too
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks import harness
from benchmarks.harness import BenchmarkError
from onnx_import import backend
from onnx_import.errors import OnnxImportError
from onnx_import.stages import SymbolStage


def main() -> int:
    """Run every case and print a row for each model; 1 where a model fails."""
    parser = harness.arguments(__doc__ or "", rounds=1)
    parser.add_argument("--models", type=Path, required=True, metavar="DIR", help="folder with models.json")
    parser.add_argument(
        "--extra", type=Path, metavar="DIR", help="folder with NAME.onnx for models that the index has no file of"
    )
    options = parser.parse_args()
    try:
        index = json.loads((options.models / "models.json").read_text())["models"]
    except (OSError, ValueError, KeyError) as error:
        raise BenchmarkError(f"{options.models} has no index of models: {error!r}") from None
    found = {entry["name"]: judge(options.models, options.extra, entry) for entry in index}
    rows = [
        [name, f"{row['passed']} of {row['cases']}", "yes" if row["plain"] else "no", row["fault"]]
        for name, row in found.items()
    ]
    print(harness.markdown(["model", "cases", "one plain symbol", ""], rows))
    whole = sum(row["passed"] == row["cases"] for row in found.values())
    cases = sum(row["passed"] for row in found.values())
    print(f"\n{whole} of {len(found)} models, {cases} of {sum(row['cases'] for row in found.values())} cases")
    harness.write(options.json, found)
    return int(whole < len(found))


def judge(folder: Path, extra: Path | None, entry: dict[str, Any]) -> dict[str, Any]:
    """How many cases of one model pass, and what the first one that does not says."""
    file = folder / entry["model"] if entry["model"] else (extra or folder) / f"{entry['name']}.onnx"
    row: dict[str, Any] = {"cases": len(entry["cases"]), "passed": 0, "plain": False, "fault": ""}
    if not file.is_file():
        return {**row, "fault": f"no file {file.name}: give its folder by --extra"}
    try:
        prepared = backend.open_file(str(file)).__self__
        for case in entry["cases"]:
            with np.load(folder / entry["name"] / case["file"], allow_pickle=False) as data:
                arrays = {name: data[name] for name in data.files}
            answers = prepared.run({name[3:]: array for name, array in arrays.items() if name.startswith("in_")})
            fault = differing(entry, answers, arrays)
            row["passed"] += not fault
            row["fault"] = row["fault"] or fault
    except (OnnxImportError, RuntimeError) as error:
        return {**row, "fault": str(error).splitlines()[0]}
    (block,) = prepared.program.last[-1:]
    row["plain"] = len(prepared.program.last) == 1 and all(isinstance(stage, SymbolStage) for stage in block.stages)
    return row


def differing(entry: dict[str, Any], answers: Any, arrays: dict[str, Any]) -> str:
    """What of the outputs differs from what is expected; empty where nothing does."""
    for info, got in zip(entry["outputs"], answers, strict=True):
        want = arrays["out_" + info["name"]]
        if got.dtype.kind in "OUS":
            if got.astype(str).tolist() != want.astype(str).tolist():
                return f"{info['name']}: other text"
        elif (got.shape, got.dtype) != (want.shape, want.dtype):
            return f"{info['name']}: {got.dtype}{got.shape}, expected {want.dtype}{want.shape}"
        elif not np.allclose(
            got, want, **(entry["tolerance"] if want.dtype.kind == "f" else {"rtol": 0, "atol": 0}), equal_nan=True
        ):
            return f"{info['name']}: off by up to {np.abs(got.astype(np.float64) - want.astype(np.float64)).max():.3g}"
    return ""


if __name__ == "__main__":
    harness.run(main)
