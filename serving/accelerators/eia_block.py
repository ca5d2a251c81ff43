"""Gluon blocks on an accelerator: those whose parameters are on `mx.eia()`, or that are hybridized for the backend `EIA`.

A SymbolBlock is a graph already; another block becomes one when it is hybridized. A block that is not, as Elastic Inference
demanded, runs its Python code at each call, which could do something else each time: it is run as a graph where all of its
code is a library's that is known not to, and otherwise here, with a warning.
"""

from __future__ import annotations

import logging
import threading
from functools import wraps
from operator import itemgetter
from typing import Any

from serving.accelerators import eia, eia_faults
from serving.accelerators.eia_context import EiaContext
from serving.accelerators.eia_faults import refusal
from serving.accelerators.eia_graph import Graph
from serving.backends.mxnet_import import import_mxnet

log = logging.getLogger("ei.accelerators")
mx = import_mxnet()
HybridBlock, Parameter = mx.gluon.block.HybridBlock, mx.gluon.parameter.Parameter
LIBRARIES = ("mxnet.gluon.", "gluoncv.", "gluonnlp.")
"""Whose blocks compute the same graph at every call."""
MADE, LOCAL = "_eia_made", "_eia_is_local"
"""What is noted at a block: when its graph was made, and for what accelerator; that it is run here."""

_within = threading.local()
_moves = 0
"""How often parameters were put somewhere: a block's graph may be for another device than they are on."""


class EiaCachedOp:
    """Stands where a block keeps its compiled graph: called with data and parameters, in the order of the graph's inputs."""

    def __init__(self, symbol: Any, ordinal: int, are_data: list[bool]) -> None:
        names = symbol.list_inputs()
        self._graph = Graph(symbol, ordinal)
        self._data = [(name, at) for at, (name, is_data) in enumerate(zip(names, are_data, strict=True)) if is_data]
        params = [at for at, is_data in enumerate(are_data) if not is_data]
        self._names = tuple(names[at] for at in params)
        self._pick = itemgetter(*params) if len(params) > 1 else lambda args: tuple(args[at] for at in params)

    def __call__(self, *args: Any, **_: Any) -> Any:
        """One pass; the parameters are sent again where they are others."""
        if mx.autograd.is_recording():
            raise refusal(eia_faults.TRAINING)
        params = self._pick(args)
        inputs = {name: args[at] for name, at in self._data}
        sent = self._graph.fresh(self._names, params) or self._graph.send(self._names, params, inputs)
        is_numpy = isinstance(args[self._data[0][1]], mx.np.ndarray)
        results = [_array(result, is_numpy) for result in self._graph.run(sent, inputs)]
        return results[0] if len(results) == 1 else results

    def _register_op_hook(self, *_: Any) -> None:
        raise refusal("a hook does not see into a graph on an accelerator", "run the block on mx.cpu()")


def _array(result: Any, is_numpy: bool) -> Any:
    made = mx.nd.empty(result.shape, dtype=result.dtype) if result.ndim and result.size else mx.nd.array(result)
    if result.size:
        made._sync_copyfrom(result)
    return made.as_np_ndarray() if is_numpy else made


def attach(block: Any) -> None:
    """Let a block whose graph was just made run on its accelerator, if it has one."""
    ordinal = _ordinal(block)
    block.__dict__[MADE] = _moves, ordinal
    if ordinal is not None and eia_faults.accelerator(ordinal) is not None:
        are_data = [is_data for is_data, _ in block._cached_op_args]
        block._cached_op = EiaCachedOp(block._cached_graph[1], ordinal, are_data)


def _ordinal(block: Any) -> int | None:
    """The accelerator that a block's graph is to run on; None for this host."""
    if eia._is_ours(block._backend):
        return eia.mark_of(block._cached_graph[1])
    return _placed(param for is_data, param in block._cached_op_args if not is_data)


def _placed(params: Any) -> int | None:
    """The accelerator that these parameters are on."""
    found: set[int] = set()
    for param in params:
        contexts = param._ctx_list or (param._deferred_init[1] if param._deferred_init else ())
        found.update(ctx.ordinal for ctx in contexts if isinstance(ctx, EiaContext))
        if len(contexts) > 1 and found:
            raise refusal(eia_faults.SEVERAL, "give a block's parameters one context")
    if len(found) > 1:
        raise refusal(eia_faults.SEVERAL, "give all of a block's parameters the same context")
    return found.pop() if found else None


def install() -> None:
    """Wrap what blocks need that are put on `mx.eia()`: when the first such context is made."""
    if not hasattr(HybridBlock.forward, "__wrapped__"):
        HybridBlock.forward = _forward(HybridBlock.forward)
        HybridBlock._call_cached_op = _call_cached_op(HybridBlock._call_cached_op)
        Parameter._init_impl = _init_impl(Parameter._init_impl)


def _init_impl(plain: Any) -> Any:
    @wraps(plain)
    def init_impl(self: Any, data: Any, ctx_list: Any) -> None:
        global _moves
        plain(self, data, ctx_list)
        _moves += 1

    return init_impl


def _call_cached_op(plain: Any) -> Any:
    @wraps(plain)
    def call_cached_op(self: Any, *args: Any) -> Any:
        moves, ordinal = self.__dict__.get(MADE, (-1, None))
        if self._cached_op is not None and moves != _moves:
            if _ordinal(self) != ordinal:
                self._cached_op = None  # the parameters are elsewhere now
            self.__dict__[MADE] = _moves, ordinal
        return plain(self, *args)

    return call_cached_op


def _forward(plain: Any) -> Any:
    @wraps(plain)
    def forward(self: Any, x: Any, *args: Any) -> Any:
        if self._active or getattr(_within, "block", False) or not isinstance(x, mx.nd.NDArray):
            return plain(self, x, *args)
        if _runs_as_graph(self) and _is_made(self, x, *args):
            with x.ctx:
                return self._call_cached_op(x, *args)
        _within.block = True  # its parts are not to be sent one by one
        try:
            return plain(self, x, *args)
        finally:
            _within.block = False

    return forward


def _runs_as_graph(block: Any) -> bool:
    """Whether a block that is not hybridized is on an accelerator and can run there; a warning, once, where it cannot."""
    moves, answer = block.__dict__.get(LOCAL, (-1, False))
    if moves != _moves:
        ordinal = _placed(block.collect_params().values())
        why = None if ordinal is None else _why_local(block)
        if why and moves == -1:
            _warn(ordinal, block, why)
        answer = ordinal is not None and not why
        block.__dict__[LOCAL] = _moves, answer
    return bool(answer)


def _why_local(block: Any) -> str:
    """Why a block's Python code must run at each call; empty where it need not."""
    if not block._children:
        return "a lone layer costs more to send than to compute"
    parts = [block]
    for part in parts:
        parts.extend(part._children.values())
        if not type(part).__module__.startswith(LIBRARIES) or isinstance(part, mx.gluon.nn.HybridLambda):
            return f"what {type(part).__name__} computes may change from call to call"
    return ""


def _is_made(block: Any, *args: Any) -> bool:
    """Whether the block has its graph, made now if need be; False, with a warning, where its code does not lend itself."""
    if block._cached_op is None:
        try:
            block._build_cache(*args)
        except eia_faults.EiaError:
            raise
        except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            _warn(0, block, f"it makes no graph ({type(error).__name__})")
            block.__dict__[LOCAL] = _moves, False
            return False
    return True


def _warn(ordinal: int | None, block: Any, why: str) -> None:
    log.warning("eia(%s): %s is not hybridized and runs on the CPU: %s; call its hybridize()", ordinal, block.name, why)
