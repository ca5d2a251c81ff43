"""The sizes of an accelerator, by the names that Elastic Inference gave them.

TFLOPS are AWS's figures of AWS's hardware, kept to choose a type by, and no promise of a host of ours.
Memory is enforced. [Elastic Inference developer guide, "Elastic Inference basics"; Amazon
SageMaker developer guide, "Elastic Inference"]
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from serving.errors import StartError

GIB = 1 << 30


@dataclass(frozen=True)
class AcceleratorType:
    """A size: `fp32` and `fp16` in TFLOPS, `memory` in bytes."""

    name: str
    fp32: float
    fp16: float
    memory: int

    @property
    def gigabytes(self) -> int:
        """Its memory in GiB, as the guide's table has it."""
        return self.memory // GIB


TYPES = tuple(
    AcceleratorType(f"ml.eia{generation}.{size}", tflops, 8 * tflops, memory * GIB)
    for generation, sizes in (
        (1, (("medium", 1, 1), ("large", 2, 2), ("xlarge", 4, 4))),
        (2, (("medium", 1, 2), ("large", 2, 4), ("xlarge", 4, 8))),
    )
    for size, tflops, memory in sizes
)
"""All types, smallest first within a generation."""
BY_NAME = {kind.name: kind for kind in TYPES}
DEFAULT = "ml.eia2.medium"
LOCAL = "local_sagemaker_notebook"
"""What the SageMaker SDK's local mode takes for a type: an accelerator of no size of its own."""


def find(name: str) -> AcceleratorType:
    """The type of this name; StartError names the like ones.

    `eia2.medium` is taken for `ml.eia2.medium`, as the older API wrote it.
    """
    wanted = name.strip()
    for candidate in (wanted, f"ml.{wanted}", corrected(wanted)):
        if candidate in BY_NAME:
            return BY_NAME[candidate]
    like = difflib.get_close_matches(wanted, BY_NAME, 1, 0.5)
    hint = f"did you mean {like[0]}? " if like else ""
    raise StartError(f"{name!r} is no accelerator type: {hint}There are {', '.join(BY_NAME)}")


def corrected(name: str) -> str:
    """The name with the guide's misprint `m1.` for `ml.` put right."""
    return "ml." + name[3:] if name.startswith("m1.") else name


def is_misprinted(name: str) -> bool:
    """Whether a name has the guide's misprint; whoever reads it says so once."""
    return corrected(name.strip()) != name.strip()


def smallest(memory: float, generation: int = 2) -> AcceleratorType | None:
    """The smallest type of a generation with this many bytes; None where none has."""
    fitting = [kind for kind in TYPES if kind.memory >= memory and kind.name.startswith(f"ml.eia{generation}.")]
    return min(fitting, key=lambda kind: kind.memory, default=None)
