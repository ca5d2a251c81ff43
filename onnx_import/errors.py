"""What can go wrong between an ONNX file and a served model.

    file -> ModelProto     InvalidModel       it is not ONNX, or breaks ONNX's rules, or is larger than the limits
    ModelProto -> symbols  UnsupportedModel   operators (all of them in one error) or types that we do not convert
    symbols -> proof       VerificationError  the converted model answers differently: no artifact is left
    inputs -> outputs      InvalidInput       what a caller fed does not fit the model

Each text is for the user, in a line or a short list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class OnnxImportError(Exception):
    """Any failure that this package explains; its text is for the user, in a line or a short list."""


class InvalidModel(OnnxImportError):
    """The file or proto is no valid ONNX model."""


class InvalidInput(OnnxImportError, ValueError):
    """What was fed does not fit the model's inputs, or what an operator takes."""


class VerificationError(OnnxImportError):
    """The converted model does not answer as ONNX says."""


def place(error: OnnxImportError, operator: str, node: str) -> None:
    """Put a node's name before an error's text, unless a node inside of it has put its own there."""
    if not hasattr(error, "__notes__"):
        error.args = (f"{operator} ({node}): {error}",)
        error.add_note(f"in the node {node}")


@dataclass(frozen=True)
class Problem:
    """One node that cannot be lowered: which, why, and the nearest thing that would work."""

    node: str
    op: str
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        """One line for the user."""
        return f"{self.op} ({self.node}): {self.reason}" + (f"; {self.hint}" if self.hint else "")


class UnsupportedModel(OnnxImportError, NotImplementedError):
    """Valid ONNX that we do not convert; `problems` lists every node of it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


class Unsupported(UnsupportedModel):
    """Raised by a converter for one use of its operator; the walk adds the node's name."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__([Problem("", "", reason, hint)])
        self.reason, self.hint = reason, hint
