"""The estimate of an artifact's need, with MXNet's own plan of its values: nothing of it is run."""

from __future__ import annotations

from collections.abc import Mapping

from serving.accelerators.engines import mxnet_files, mxnet_symbol
from serving.accelerators.engines.base import Config
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.sizing import estimate
from serving.accelerators.sizing.estimate import Need
from serving.backends.mxnet import first_line, load_arrays, numpy_shapes, split_params
from serving.backends.mxnet_import import import_mxnet


def need(config: Config, shapes: Mapping[str, tuple[int, ...]]) -> Need:
    """The bytes that the model takes with inputs of these shapes; AcceleratorError where MXNet does not take them."""
    mxnet_files.check(config)
    text = mxnet_files.symbol_text(config)
    mx = import_mxnet()
    try:
        with numpy_shapes(mxnet_symbol.is_numpy(text)):
            args, aux = split_params(load_arrays(config.folder / mxnet_files.PARAMS))
            return estimate.planned(mx.sym.load_json(text), args, aux, shapes)
    except mx.MXNetError as error:
        raise AcceleratorError(Code.INVALID_ARGUMENT, f"MXNet does not take {dict(shapes)}: {first_line(error)}") from None
