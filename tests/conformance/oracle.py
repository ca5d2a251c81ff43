"""Run by a process of its own, with AWS's real toolkit on its path: cases from stdin, its answers to stdout, JSON both.

[{"do": "decode" | "encode" | "invoke", ...}] -> [{"body", "shape", "kind", "type", "status"}]
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import numpy as np
from sagemaker_inference import decoder, encoder
from sagemaker_inference.transformer import Transformer


class Processor:
    """The request side of the server's context, as the toolkit reads it."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def get_request_properties(self) -> dict[str, str]:
        """All request headers."""
        return self._headers


class Context:
    """The reply side: what the toolkit says of its answer."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.system_properties = {"model_dir": "."}
        self.request_processor = [Processor(headers)]
        self.status, self.content_type = 200, ""

    def set_response_content_type(self, idx: int, value: str) -> None:
        """The content type of the answer."""
        self.content_type = value

    def set_response_status(self, code: int, phrase: str) -> None:
        """The status of a failed answer."""
        self.status = code


def text(body: Any) -> str:
    """A body in base64."""
    return base64.b64encode(body.encode() if isinstance(body, str) else body).decode()


def answer(case: dict[str, Any], transformer: Transformer) -> dict[str, Any]:
    """The toolkit's answer to one case."""
    if case["do"] == "encode":
        return {"body": text(encoder.encode(np.array(case["array"], case["dtype"]), case["accept"]))}
    body = base64.b64decode(case["body"])
    if case["do"] == "decode":
        array = decoder.decode(body.decode() if case["type"] != "application/x-npy" else body, case["type"])
        return {"array": array.tolist(), "shape": array.shape, "kind": array.dtype.kind}
    context = Context({"Content-Type": case["type"], **({"Accept": case["accept"]} if case["accept"] else {})})
    (reply,) = transformer.transform([{"body": body}], context)
    return {"body": text(reply), "status": context.status, "type": context.content_type}


if __name__ == "__main__":
    shared = Transformer()
    json.dump([answer(case, shared) for case in json.load(sys.stdin)], sys.stdout)
