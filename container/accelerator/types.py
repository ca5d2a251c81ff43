"""The types as a table or as objects, with whose figures they are."""

from __future__ import annotations

from collections.abc import Sequence

from serving.accelerators.catalog import AcceleratorType

WHOSE = (
    "TFLOPS are AWS's figures of AWS's hardware, kept as a scale to choose by, and no promise of a host of yours.\n"
    "Memory is enforced: a model, its parameters and its passes get that much and no more."
)
HEADS = ("type", "FP32 TFLOPS", "FP16 TFLOPS", "memory")


def objects(types: Sequence[AcceleratorType]) -> list[dict[str, object]]:
    """One object a type, for a program."""
    return [
        {"type": kind.name, "fp32_tflops": kind.fp32, "fp16_tflops": kind.fp16, "memory_bytes": kind.memory} for kind in types
    ]


def table(types: Sequence[AcceleratorType]) -> str:
    """The types in columns, and whose figures those are."""
    rows = [HEADS, *((kind.name, f"{kind.fp32:g}", f"{kind.fp16:g}", f"{kind.gigabytes} GiB") for kind in types)]
    return columns(rows) + "\n\n" + WHOSE


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns: the first to the left, the others to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = (
        "  ".join(
            f"{cell:<{width}}" if at == 0 else f"{cell:>{width}}"
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
