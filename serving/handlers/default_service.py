"""The default handlers around a loaded model: decode, stack, forward, split, encode. The hot path of every request.

    decode: bytes -> Inputs        (codecs, then the signature)
    predict: [Inputs] -> [Outputs] (rows of like shape share one pass)
    encode: Outputs -> Reply       (codecs, by Accept)

`invocation.invoke` calls the three in this order.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from serving import backends, codecs
from serving.backends.base import LoadedModel
from serving.errors import BadRequest, ModelError, ServingError, UserCodeError
from serving.invocation import Inputs, Outputs, Reply, Request
from serving.models import warmup


class DefaultService:
    """A loaded model that no user function stands in front of."""

    has_user_code = False

    def __init__(self, model: LoadedModel, default_accept: str = "application/json", limit: int = 1 << 32) -> None:
        self.model = model
        self.signature = model.signature
        self._accept, self._limit = default_accept, limit

    @property
    def stackable(self) -> bool:
        """Whether requests may share a pass."""
        return bool(getattr(self.model, "stackable", False))

    @property
    def takes_samples(self) -> bool:
        """Whether a pass over zeros has to succeed: not where the model may want a number of rows that nobody has told."""
        return bool(getattr(self.model, "takes_samples", self.stackable))

    @property
    def max_batch(self) -> int:
        """Rows that one pass may have."""
        return int(getattr(self.model, "max_batch", 1))

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the model's parameters, 0 where it does not tell."""
        return backends.parameter_bytes(self.model)

    def sample(self, rows: int = 1) -> Inputs | None:
        """Inputs of zeros that fit the signature, 1 where a size is open; None where a rank is, or where they would be huge."""
        return warmup.sample(self.signature, rows)

    def check(self, content_type: str, accept: str) -> None:
        """Refuse a request by these two headers alone: UnsupportedMediaType or NotAcceptable."""
        codecs.negotiate.decoder(content_type)
        codecs.negotiate.answer(accept, self._accept)

    def decode(self, request: Request) -> Inputs:
        """The body as the signature's named arrays, rows first; BadRequest or UnsupportedMediaType otherwise."""
        return self.signature.validate(codecs.decode(request.body, request.content_type, self.signature, self._limit))

    def predict(self, inputs: list[Inputs], requests: list[Request]) -> list[Any]:
        """Outputs, or the exception, for each of the inputs. A pass that fails for many is run again for each alone."""
        if len(inputs) == 1:
            return [self._forward(inputs[0])]
        answers: list[Any] = [None] * len(inputs)
        for group in _alike(inputs):
            stacked = [inputs[at] for at in group]
            for at, answer in zip(group, self._stacked(stacked), strict=True):
                answers[at] = answer
        return answers

    def encode(self, output: Outputs, request: Request) -> Reply:
        """The outputs in the content type that the request accepts; NotAcceptable otherwise."""
        body, content_type = codecs.encode(output, request.accept, self._accept)
        return Reply(body, content_type)

    def _stacked(self, inputs: list[Inputs]) -> list[Any]:
        if len(inputs) == 1 or not self._may_stack(inputs[0]):
            return [self._forward_or_error(one) for one in inputs]
        try:
            outputs = self._forward({name: np.concatenate([one[name] for one in inputs]) for name in inputs[0]})
        except Exception:
            return [self._forward_or_error(one) for one in inputs]
        rows = [len(next(iter(one.values()))) for one in inputs]
        if any(len(array) != sum(rows) for array in outputs.values()):
            return [self._forward_or_error(one) for one in inputs]
        return split(outputs, rows)

    def _may_stack(self, inputs: Inputs) -> bool:
        stacks = getattr(self.model, "stacks", None)
        return bool(stacks(inputs) if stacks is not None else getattr(self.model, "stackable", True))

    def _forward_or_error(self, inputs: Inputs) -> Any:
        try:
            return self._forward(inputs)
        except Exception as error:
            return error

    def _forward(self, inputs: Inputs) -> Outputs:
        """One pass; what the model's own shapes refuse is the request's fault where the signature left them open."""
        try:
            return self.model.forward(inputs)
        except ModelError as error:
            raise BadRequest(str(error)) from error
        except ServingError:  # an accelerator's, which knows its status
            raise
        except Exception as error:
            raise UserCodeError(f"the forward pass failed: {error}") from error


def _alike(inputs: list[Inputs]) -> list[list[int]]:
    """Indices of the inputs that can be stacked with each other, by the shapes of their rows."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for at, one in enumerate(inputs):
        groups.setdefault(tuple([array.shape[1:] for array in one.values()]), []).append(at)
    return list(groups.values())


def split(outputs: Outputs, rows: list[int]) -> list[Outputs]:
    """The outputs of each of the inputs that were stacked, by the numbers of their rows."""
    ends = list(accumulate(rows))
    starts = [0, *ends[:-1]]
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return [{name: array[a:b]} for a, b in zip(starts, ends, strict=True)]
    return [{name: array[a:b] for name, array in outputs.items()} for a, b in zip(starts, ends, strict=True)]
