"""Arrays for scripts that expect MXNet's: NDArrays that enter MXNet only when something of MXNet is asked of them.

Most scripts take a prediction's `asnumpy()` and nothing else; making an NDArray of it and reading it back costs more than a
small model's pass. Both classes are made on first use, since their bases are MXNet's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from serving.backends.mxnet_import import import_mxnet
from serving.invocation import Array


def lazy(array: Array) -> Any:
    """An NDArray on the CPU with these values; the array must not change any more."""
    return _lazy_class()(array if array.ndim else array.reshape(1))


def rows(array: Array) -> Any:
    """An NDArrayIter of one batch with all rows, which answers to an NDArray's attributes too."""
    return _rows_class()(array)


def copied(array: Array) -> Any:
    """An NDArray with memory of its own. Not by `mx.nd.array`, which asks scipy about every array and takes far longer."""
    mx = import_mxnet()
    made = mx.nd.empty(array.shape, ctx=mx.cpu(), dtype=array.dtype)
    made._sync_copyfrom(np.ascontiguousarray(array))
    return made


def values(array: Any) -> Array:
    """The numbers of an NDArray, a lazy one or Rows; for one that MXNet has not seen, without a copy."""
    pending = getattr(array, "pending", None)
    read: Array = array.asnumpy() if pending is None else pending
    return read


@lru_cache(maxsize=1)
def _lazy_class() -> type[Any]:
    mx = import_mxnet()

    class LazyNDArray(mx.nd.NDArray):  # type: ignore[misc,name-defined]
        """An NDArray whose handle is made when it is first asked for."""

        @property  # type: ignore[misc]
        def __class__(self) -> type[Any]:
            """MXNet makes slices by it and compares it: those are plain NDArrays."""
            return mx.nd.NDArray  # type: ignore[no-any-return]

        def __init__(self, array: Array) -> None:
            self.pending: Array | None = array
            self.made: Any = None
            self.writable = True

        @property
        def handle(self) -> Any:
            """MXNet's handle. From here on MXNet's copy is the truth: an operator may write into it."""
            return self.plain().handle

        def plain(self) -> Any:
            """The array in MXNet's memory."""
            if self.made is None:
                assert self.pending is not None
                self.made = copied(self.pending)
                self.pending = None
            return self.made

        def __del__(self) -> None:
            """Nothing: the handle belongs to `made`, which frees it."""

        def asnumpy(self) -> Array:
            """The values, in memory that the caller may change."""
            return super().asnumpy() if self.pending is None else self.pending.copy()

        @property
        def shape(self) -> tuple[int, ...]:
            """The size of each axis."""
            return super().shape if self.pending is None else self.pending.shape

        @property
        def dtype(self) -> Any:
            """The numpy type of the values, as MXNet says it."""
            return super().dtype if self.pending is None else self.pending.dtype.type

        def __reduce__(self) -> Any:
            return copied, (self.asnumpy(),)

    _accept_assigned(mx.nd.NDArray, LazyNDArray)
    return LazyNDArray


def _accept_assigned(plain: Any, lazy_class: type[Any]) -> None:
    """Let a lazy array be assigned into a plain one (`mx.nd.array(lazy)` too): MXNet compares exact types there."""
    prepare = plain._prepare_value_nd

    def prepare_value(self: Any, value: Any, *args: Any, **options: Any) -> Any:
        if type(value) is lazy_class:
            value = value.plain()
        return prepare(self, value, *args, **options)

    plain._prepare_value_nd = prepare_value


@lru_cache(maxsize=1)
def _rows_class() -> type[Any]:
    mx = import_mxnet()

    class Rows(mx.io.NDArrayIter):  # type: ignore[misc,name-defined]
        """One batch with every row of the request; made an iterator when it is used as one."""

        def __init__(self, array: Array) -> None:
            self._rows = lazy(array)
            self._is_iterator = False

        def _become_iterator(self) -> None:
            if not self._is_iterator:
                self._is_iterator = True
                super().__init__(self._rows, batch_size=len(self), last_batch_handle="pad")

        @property
        def pending(self) -> Array | None:
            """The values, where MXNet has not seen them and nobody can have changed them."""
            return self._rows.pending  # type: ignore[no-any-return]

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__") or name in ("_rows", "_is_iterator"):
                raise AttributeError(name)
            if self._is_iterator or hasattr(type(self._rows), name):
                return getattr(self._rows, name)
            self._become_iterator()
            return getattr(self, name)

        def reset(self) -> None:
            """Start over."""
            self._become_iterator()
            super().reset()

        def __getitem__(self, index: Any) -> Any:
            return self._rows[index]

        def __len__(self) -> int:
            return self._rows.shape[0]  # type: ignore[no-any-return]

        def __array__(self, dtype: Any = None) -> Array:
            return np.asarray(self._rows.asnumpy(), dtype)

    return Rows
