"""What a backend is: a `load` function that returns a loaded model. Nothing above it knows a framework."""

from __future__ import annotations

from typing import Protocol

from serving.invocation import Inputs, Outputs
from serving.models.signature import Signature


class LoadedModel(Protocol):
    """A model in memory. One thread of a process touches it; after a fork each child has its own."""

    signature: Signature

    def forward(self, inputs: Inputs) -> Outputs:
        """Run one pass over stacked rows: the first axis of every input and output counts rows."""

    def close(self) -> None:
        """Give back what the model holds."""
