"""The MXNet engine: symbols and parameters, run as a local MXNet would run them.

    max_batch 0 -> `ExactModel`: each call bound in its very shapes, nothing tuned -> equal to local, bit for bit
    max_batch N -> `mxnet_served`: the container's own backend, rows of several calls in a pass

A process' threads are fixed when MXNet is imported, so `prepare` comes first, in a process of its own.
"""

from __future__ import annotations

from serving import settings
from serving.accelerators.engines import memory, mxnet_files, mxnet_symbol
from serving.accelerators.engines.base import Config, EngineModel, Host
from serving.accelerators.engines.mxnet_exact import ExactModel
from serving.accelerators.errors import AcceleratorError, Code
from serving.backends.mxnet import first_line, load_arrays, numpy_shapes, split_params
from serving.backends.mxnet_import import import_mxnet
from serving.errors import ModelError

WARM = (
    '{"nodes": [{"op": "null", "name": "x", "inputs": []}, {"op": "null", "name": "w", "inputs": []},'
    ' {"op": "FullyConnected", "name": "y", "attrs": {"num_hidden": "4", "no_bias": "True"}, "inputs": [[0, 0, 0], [1, 0, 0]]}],'
    ' "arg_nodes": [0, 1], "heads": [[2, 0, 0]], "attrs": {"mxnet_version": ["int", 10901]}}'
)


def prepare(host: Host) -> None:
    """Import MXNet with so many threads a pass, and make a first pass, which starts them."""
    memory.settle()
    settings.put("OMP_NUM_THREADS", str(host.threads))
    mx = import_mxnet()
    symbol = mx.sym.load_json(WARM)
    symbol.bind(mx.cpu(), {"x": mx.nd.ones((4, 4)), "w": mx.nd.ones((4, 4))}, grad_req="null").forward()[0].asnumpy()


def check(config: Config) -> None:
    """AcceleratorError where the files are no model that may be run here. Nothing of them is run."""
    mxnet_files.check(config)


def load(config: Config) -> EngineModel:
    """The model, checked; AcceleratorError where it is none, or does not fit."""
    check(config)
    mx = import_mxnet()
    before = memory.held()
    try:
        return _load(config)
    except (ModelError, mx.MXNetError, RuntimeError, ValueError, MemoryError) as error:
        if not memory.is_exhausted(error):
            raise AcceleratorError(Code.INVALID_ARGUMENT, f"MXNet cannot load the model: {first_line(error)}") from None
    memory.trim()
    # Only now: the error held the frames, and the frames the arrays.
    need = max(mxnet_files.weights(config), memory.held() - before)
    raise memory.exhausted("loading the model", max(need, config.budget + 1), config.budget)


def _load(config: Config) -> EngineModel:
    if config.max_batch or mxnet_files.is_converted(config):
        from serving.accelerators.engines import mxnet_served

        return mxnet_served.load(config)
    text = mxnet_files.symbol_text(config)
    with numpy_shapes(mxnet_symbol.is_numpy(text)):
        symbol = import_mxnet().sym.load_json(text)
    path = config.folder / mxnet_files.PARAMS
    args, aux = split_params(load_arrays(path)) if path.stat().st_size else ({}, {})
    return ExactModel(symbol, args, aux, config)
