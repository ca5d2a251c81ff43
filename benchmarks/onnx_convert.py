"""What converting ResNet-50 takes: seconds and memory, without and with verification.

The model is the ResNet-50 that the `onnx` package brings, with seeded weights in place of its constant ones (102 MB), written below
build/bench. Each conversion has a process of its own. Memory is the process's largest resident size less what it had after its imports,
over the size of the file.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from pathlib import Path

if not __package__:  # run as a script: this folder, which Python puts first, has a serving.py too
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import harness
from benchmarks.harness import figure, say

MODEL = harness.BUILD / "resnet50.onnx"
WAYS = {"without": False, "with": True}


def main() -> int:
    """Convert in turn, print the table, write the JSON."""
    options = harness.arguments(__doc__ or "", rounds=3).parse_args()
    if not MODEL.is_file():
        harness.module("onnx_convert", "--make")
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for number in range(1 if options.quick else options.rounds):
        for way in harness.turned(list(WAYS), number):
            found[way].append(harness.module("onnx_convert", "--way", way))
            say(f"round {number + 1}: {way} verification")
    medians = {way: {key: statistics.median(one[key] for one in taken) for key in taken[0]} for way, taken in found.items()}
    harness.write(options.json, {"machine": harness.machine(), "medians": medians})
    rows = [
        [f"{way} verification", figure(m["seconds"]), figure(m["megabytes"]), figure(m["ratio"])] for way, m in medians.items()
    ]
    print(harness.markdown(["ResNet-50", "seconds", "MB", "x the model"], rows))
    return 0


def measure(way: str) -> dict[str, float]:
    """Seconds of a conversion, and what it took of memory beyond the imports, MXNet's among them."""
    from onnx_import.convert import Options, convert
    from serving.backends.mxnet_import import import_mxnet

    import_mxnet()
    before = _megabytes()
    begin = time.perf_counter()
    convert(MODEL, harness.BUILD / "resnet50", Options(verify=WAYS[way]))
    taken = time.perf_counter() - begin
    used = _megabytes() - before
    return {"seconds": taken, "megabytes": used, "ratio": used / (MODEL.stat().st_size / 1e6)}


def make() -> dict[str, float]:
    """Write the model: every constant weight replaced by seeded numbers scaled by their fan-in."""
    import numpy as np
    import onnx
    import onnx.backend.test
    from onnx import numpy_helper

    model = onnx.load(Path(onnx.backend.test.__file__).parent / "data" / "light" / "light_resnet50.onnx")
    draw = np.random.default_rng(0)
    graph = model.graph
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    variances = {node.input[4] for node in graph.node if node.op_type == "BatchNormalization"}
    kept = []
    for node in graph.node:
        if node.op_type != "ConstantOfShape" or node.input[0] not in shapes:
            kept.append(node)
            continue
        name, shape = node.output[0], tuple(int(size) for size in shapes[node.input[0]])
        if name in variances:
            weights = draw.uniform(0.5, 1.5, shape)
        else:
            weights = draw.standard_normal(shape) * np.sqrt(2 / max(np.prod(shape[1:]), 1))
        graph.initializer.append(numpy_helper.from_array(weights.astype(np.float32), name))
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in graph.node for name in node.input}
    for field in (graph.initializer, graph.input):
        for item in [item for item in field if item.name not in read]:
            field.remove(item)
    MODEL.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, MODEL)
    return {"bytes": MODEL.stat().st_size}


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        print(json.dumps(make()))
    elif sys.argv[1:2] == ["--way"]:
        print(json.dumps(measure(sys.argv[2])))
    else:
        sys.exit(main())
