"""Where the windows of a convolution or pooling lie: ONNX's paddings, strides and rounding, made into sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx_import.errors import InvalidInput

__all__ = ["Windows", "place_windows"]


@dataclass(frozen=True)
class Windows:
    """Windows over spatial axes of the given sizes: `out` of them along each, the first one `before` the first element."""

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    out: tuple[int, ...]

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.sizes)

    @property
    def extents(self) -> tuple[int, ...]:
        """Elements from the first to the last one of a window."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def reach(self) -> tuple[int, ...]:
        """Elements behind the end that the last window takes in; negative where it ends earlier."""
        return tuple(f - n - b for f, n, b in zip(self.full, self.sizes, self.before, strict=True))

    @property
    def full(self) -> tuple[int, ...]:
        """Elements from the first one of the first window to the last one of the last."""
        return tuple((o - 1) * s + e for o, s, e in zip(self.out, self.strides, self.extents, strict=True))

    @property
    def reach_back(self) -> tuple[int, ...]:
        """Elements that remain behind the last window if as many are cut from it as before the first."""
        return tuple(n - f + 2 * b for n, f, b in zip(self.sizes, self.full, self.before, strict=True))

    @property
    def is_dilated(self) -> bool:
        """Whether windows have holes."""
        return any(d > 1 and k > 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def is_plain(self) -> bool:
        """Whether padding both ends alike, and leaving out what is too short for a window, gives the same windows."""
        rows = zip(self.sizes, self.before, self.extents, self.strides, self.out, strict=True)
        return all(b >= 0 and (n + 2 * b - e) // s + 1 == o for n, b, e, s, o in rows)

    @property
    def is_plain_rounded_up(self) -> bool:
        """Whether padding both ends alike, and cutting off what the last window has too much, gives the same windows."""
        rows = zip(self.sizes, self.before, self.extents, self.strides, self.out, strict=True)
        return all(b >= 0 and -(-(n + 2 * b - e) // s) + 1 == o and (o - 1) * s < n + b for n, b, e, s, o in rows)

    def with_row(self) -> Windows:
        """The same windows with an axis of size 1 in front."""
        one, none = (1,), (0,)
        return Windows(
            one + self.sizes,
            one + self.kernel,
            one + self.strides,
            one + self.dilations,
            none + self.before,
            none + self.after,
            one + self.out,
        )

    def counts(self, axis: int, with_padding: bool) -> list[int]:
        """How many elements of each window along an axis lie within the input, or within its padding too."""
        low, high = 0, self.sizes[axis]
        if with_padding:
            low, high = -self.before[axis], high + self.after[axis]
        starts = [place * self.strides[axis] - self.before[axis] for place in range(self.out[axis])]
        steps = [step * self.dilations[axis] for step in range(self.kernel[axis])]
        return [sum(low <= start + step < high for step in steps) for start in starts]


def place_windows(
    sizes: Sequence[int],
    kernel: Sequence[int],
    attributes: dict[str, Sequence[int] | None],
    auto_pad: str | None = None,
    ceil_mode: bool = False,
) -> Windows:
    """The windows that a node's `strides`, `dilations` and `pads` (None where they are left out) describe."""
    rank = len(sizes)
    strides = tuple(attributes.get("strides") or (1,) * rank)
    dilations = tuple(attributes.get("dilations") or (1,) * rank)
    pads = tuple(attributes.get("pads") or (0,) * (2 * rank))
    if not len(kernel) == len(strides) == len(dilations) == rank or len(pads) != 2 * rank:
        raise InvalidInput(f"kernel {list(kernel)}, strides {strides}, dilations {dilations} and pads {pads} for {rank} axes")
    if min((*kernel, *strides, *dilations), default=1) < 1:
        raise InvalidInput(f"kernel {list(kernel)}, strides {strides} and dilations {dilations} must be 1 or more")
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    before: Sequence[int] = pads[:rank]
    after: Sequence[int] = pads[rank:]
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        before, after = _same(sizes, strides, extents, auto_pad == "SAME_LOWER")
        ceil_mode = False
    elif auto_pad == "VALID":
        before = after = (0,) * rank
    rows = list(zip(sizes, before, after, extents, strides, strict=True))
    out = tuple(_count(row, ceil_mode) for row in rows)
    return Windows(tuple(sizes), tuple(kernel), strides, dilations, tuple(before), tuple(after), out)


def _count(row: tuple[int, int, int, int, int], ceil_mode: bool) -> int:
    size, before, after, extent, stride = row
    room = size + before + after - extent
    if room < 0:
        raise InvalidInput(f"a window of {extent} does not fit into {size} elements padded by {before} and {after}")
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    # A window that would start behind the input is none.
    return count - 1 if (count - 1) * stride >= size + before else count


def _same(sizes: Sequence[int], strides: Sequence[int], extents: Sequence[int], is_lower: bool) -> tuple[list[int], list[int]]:
    """Paddings for which there is a window for each stride, the odd one at the lower or the upper end."""
    totals = [max((-(-n // s) - 1) * s + e - n, 0) for n, s, e in zip(sizes, strides, extents, strict=True)]
    small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return (large, small) if is_lower else (small, large)
