"""One operator through our backend and through ONNX's reference evaluator: the outputs must agree in dtype, shape and values."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from onnx_import import backend
from onnx_import.errors import OnnxImportError
from onnx_import.reader import read


def check(
    op_type: str,
    inputs: Sequence[Any],
    attributes: dict[str, Any] | None = None,
    *,
    opset: int | None = None,
    domain: str = "",
    outputs: int = 1,
    known: Sequence[int] = (),
    want: Sequence[Any] | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-6,
) -> backend.Prepared:
    """Compare one node's outputs; `want` replaces the evaluator.

    `inputs` are arrays, lists of them, or None for an absent one; those that `known` counts are initializers.
    """
    model = node_model(op_type, inputs, attributes or {}, opset=opset, domain=domain, outputs=outputs)
    feeds = {f"x{index}": value for index, value in enumerate(inputs) if value is not None and index not in known}
    for index in known:
        model.graph.initializer.append(onnx.numpy_helper.from_array(inputs[index], f"x{index}"))
    if want is None:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            want = ReferenceEvaluator(model).run(None, feeds)
    for end, array in zip(model.graph.output, want, strict=False):
        if isinstance(array, np.ndarray) and not end.type.tensor_type.HasField("shape"):  # where ONNX infers none
            end.CopyFrom(_info(end.name, array))
    prepared = backend.prepare(model)
    for again in (False, True):  # the second time from the remembered trace
        got = prepared.run(feeds)
        assert len(got) == len(want)
        for index, (mine, theirs) in enumerate(zip(got, want, strict=True)):
            compare(mine, theirs, f"output {index}, again={again}", rtol, atol)
    return prepared


def check_refused(
    op_type: str, inputs: Sequence[Any], attributes: dict[str, Any] | None = None, *, opset: int | None = None, outputs: int = 1
) -> str:
    """What we say of one node that no checker has seen and that must not be answered."""
    model = node_model(op_type, inputs, attributes or {}, opset=opset, domain="", outputs=outputs)
    with pytest.raises(OnnxImportError) as caught:
        backend.Prepared(read(model)).run({f"x{index}": value for index, value in enumerate(inputs) if value is not None})
    return str(caught.value)


def node_model(
    op_type: str, inputs: Sequence[Any], attributes: dict[str, Any], *, opset: int | None, domain: str, outputs: int
) -> onnx.ModelProto:
    """A model of one node whose inputs are declared as the values are, with the outputs that ONNX infers."""
    names = [f"x{index}" if value is not None else "" for index, value in enumerate(inputs)]
    node = onnx.helper.make_node(op_type, names, [f"y{index}" for index in range(outputs)], domain=domain, **attributes)
    infos = [_info(name, value) for name, value in zip(names, inputs, strict=True) if name]
    ends = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output]
    imports = [onnx.helper.make_opsetid("", opset if opset and not domain else onnx.defs.onnx_opset_version())]
    if domain:
        newest = max(s.since_version for s in onnx.defs.get_all_schemas_with_history() if s.domain == domain)
        imports.append(onnx.helper.make_opsetid(domain, opset or newest))
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "one", infos, ends), opset_imports=imports)
    return onnx.shape_inference.infer_shapes(model)  # ONNX's checker wants types of outputs


def compare(got: Any, want: Any, where: str, rtol: float, atol: float) -> None:
    """Equal in kind, dtype and shape, and in values but for rounding."""
    if isinstance(want, (list, tuple)):
        assert isinstance(got, list), where
        assert len(got) == len(want), where
        for index, (mine, theirs) in enumerate(zip(got, want, strict=True)):
            compare(mine, theirs, f"{where}[{index}]", rtol, atol)
        return
    if want is None:
        assert got is None, where
        return
    want = np.asarray(want)
    assert got.shape == want.shape, where
    if want.dtype.kind in "OUS":
        assert got.astype(str).tolist() == want.astype(str).tolist(), where
        return
    assert got.dtype == want.dtype, where
    if want.dtype.kind in "biu":
        np.testing.assert_array_equal(got, want, where)
        return
    wide = np.complex128 if want.dtype.kind == "c" else np.float64
    np.testing.assert_allclose(got.astype(wide), want.astype(wide), rtol, atol, err_msg=where)


def _info(name: str, value: Any) -> Any:
    if isinstance(value, list):
        first = _info("", value[0])
        return onnx.helper.make_value_info(name, onnx.helper.make_sequence_type_proto(first.type))
    kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype if value.dtype.kind not in "OUS" else np.dtype(object))
    return onnx.helper.make_tensor_value_info(name, kind, value.shape)
