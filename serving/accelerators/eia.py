"""`mx.eia()` and the backend `EIA` on the stock MXNet wheel: graphs bound to them run on an attached accelerator.

    mx.eia(n) as a context                    -> Symbol.bind, Symbol.simple_bind   -> eia_executor -> eia_graph -> client
    optimize_for('EIA'), hybridize('EIA')     -> HybridBlock._build_cache          -> eia_block    -> eia_graph -> client

Importing this module installs it. It wraps the few functions that every Elastic Inference script ends in, and imports what
they need when a graph first asks for an accelerator: a process that has none pays for some attributes. A genuine Elastic
Inference build, whose `mx.eia` is there already, is left as it is.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from serving import toolkit
from serving.backends.mxnet_import import VERSION, import_mxnet

MARK = "__eia__"
"""The attribute of a node that `optimize_for('EIA')` leaves, with the accelerator's ordinal."""
BACKEND = "EIA"

marked = False
"""Whether a graph may be marked in this process: looking for marks costs as much as a small bind."""


def install(mxnet: Any) -> bool:
    """Give MXNet its `eia`; False where a genuine one is there. ImportError for an MXNet whose insides are not known here."""
    if hasattr(mxnet, "eia"):
        return False
    if mxnet.__version__ != VERSION:
        raise ImportError(f"mx.eia() needs MXNet {VERSION}, and this is {mxnet.__version__}")
    from serving.accelerators import eia_context

    mxnet.eia = mxnet.context.eia = eia_context.install(mxnet)
    symbol, block = mxnet.symbol.Symbol, mxnet.gluon.block.HybridBlock
    symbol.optimize_for = _optimize_for(symbol.optimize_for)
    symbol.bind = _bind(symbol.bind, "bind")
    symbol.simple_bind = _bind(symbol.simple_bind, "simple_bind")
    block._build_cache = _build_cache(block._build_cache)
    group = mxnet.module.executor_group.DataParallelExecutorGroup
    group.__init__ = _group(group.__init__)
    return True


def expect_marks() -> None:
    """What `import eimx` does: graphs may be marked from now on, those too that come from a file."""
    global marked
    marked = True


def _optimize_for(plain: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(plain)
    def optimize_for(self: Any, backend: str, *args: Any, **kwargs: Any) -> Any:
        if not _is_ours(backend):
            return plain(self, backend, *args, **kwargs)
        import copy

        expect_marks()
        found = copy.deepcopy(self)
        for output in found:
            output._set_attr(**{MARK: str(int(kwargs.get("accelerator_id", 0)))})
        return found

    return optimize_for


def _is_ours(backend: object) -> bool:
    """Whether a backend's name is Elastic Inference's, and no library of theirs is there to answer to it."""
    if not isinstance(backend, str) or backend.upper() != BACKEND:
        return False
    genuine = getattr(sys.modules.get("eimx"), "__file__", None)
    return genuine is None or toolkit.FOLDER in Path(genuine).parents


def _bind(plain: Callable[..., Any], name: str) -> Callable[..., Any]:
    signature = inspect.signature(plain)

    @wraps(plain)
    def bind(self: Any, ctx: Any, *args: Any, **kwargs: Any) -> Any:
        ordinal = _ordinal(self, ctx)
        if ordinal is None:
            return plain(self, ctx, *args, **kwargs)
        from serving.accelerators import eia_executor

        given = signature.bind(self, ctx, *args, **kwargs).arguments
        del given["self"], given["ctx"]
        given.update(given.pop("kwargs", {}))
        return eia_executor.bind(lambda **final: plain(self, ctx, **final), self, ordinal, given)

    bind.__name__ = name
    return bind


def _ordinal(symbol: Any, ctx: Any) -> int | None:
    """The accelerator that a graph is to run on; None for this host."""
    found = getattr(ctx, "ordinal", None)
    return found if found is not None or not marked else mark_of(symbol)


def mark_of(symbol: Any) -> int | None:
    """The ordinal that a graph is marked with, anywhere in it; None where it is not."""
    return next((int(attributes[MARK]) for attributes in symbol.attr_dict().values() if MARK in attributes), None)


def _build_cache(plain: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(plain)
    def build_cache(self: Any, *args: Any) -> None:
        plain(self, *args)
        used = sys.modules.get("serving.accelerators.eia_block")
        if used is None and _is_ours(self._backend):
            from serving.accelerators import eia_block as used
        if used is not None:
            used.attach(self)

    return build_cache


def _group(plain: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(plain)

    @wraps(plain)
    def initialize(self: Any, symbol: Any, contexts: Any, *args: Any, **kwargs: Any) -> None:
        if any(_ordinal(symbol, ctx) is not None for ctx in contexts):
            from serving.accelerators import eia_executor

            given = signature.bind(self, symbol, contexts, *args, **kwargs).arguments
            eia_executor.check_group(contexts, given)
        plain(self, symbol, contexts, *args, **kwargs)

    return initialize


install(import_mxnet())
