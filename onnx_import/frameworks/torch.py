"""PyTorch's models, by torch.onnx: .pt2 files of torch.export.save, exported programs, and modules with an example of their input.

Of a module's example the first dimension of each tensor becomes dynamic; an exported program has said already which are.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onnx_import.frameworks.errors import ExportError, UntrustedSource
from onnx_import.frameworks.options import Options


def from_file(path: Path, options: Options) -> Any:
    """A .pt2 file; one that needs unpickling of more than tensors only where the caller trusts it."""
    import pickle

    import torch

    with _tensors_only(options.is_trusted):
        try:
            program = torch.export.load(path)
        except pickle.UnpicklingError as error:
            raise UntrustedSource(path.name, "holds more than tensors in pickles, and loading those runs code") from error
    return from_object(program, options)


def from_object(model: Any, options: Options) -> Any:
    """An exported program, or a module, which is traced in its evaluation mode."""
    import torch

    if isinstance(model, torch.export.ExportedProgram):
        return _proto(torch.onnx.export(model, dynamo=True, opset_version=options.opset))
    if options.example is None:
        raise ExportError(
            f"to trace a {type(model).__name__} an example of its input is needed: export(module, example=tensor)"
        )
    example = options.example if isinstance(options.example, tuple) else (options.example,)
    shapes = tuple({0: torch.export.Dim.AUTO} if getattr(value, "ndim", 0) else None for value in example)
    was_training = model.training
    model.eval()
    try:
        return _proto(torch.onnx.export(model, example, dynamo=True, dynamic_shapes=shapes, opset_version=options.opset))
    finally:
        model.train(was_training)


def _proto(program: Any) -> Any:
    return program.model_proto


@contextmanager
def _tensors_only(is_trusted: bool) -> Iterator[None]:
    """While it lasts, torch.load takes tensors and plain values alone: reading a .pt2 falls back to full pickles otherwise."""
    import torch

    original = torch.load

    @functools.wraps(original)
    def careful(*args: Any, **named: Any) -> Any:
        return original(*args, **(named | {"weights_only": True}))

    try:
        if not is_trusted:
            torch.load = careful
        yield
    finally:
        torch.load = original
