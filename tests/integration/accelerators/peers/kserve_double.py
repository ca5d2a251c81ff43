"""A KServe server of one model, `double`: y = 2x. `kserve_double.py HTTP_PORT GRPC_PORT`, with .venv/peers on the path."""

import sys
from typing import Any

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class Double(Model):  # type: ignore[misc]
    """Doubles whatever its one input holds."""

    def __init__(self) -> None:
        super().__init__("double")
        self.ready = True

    def predict(self, payload: InferRequest, headers: dict[str, str] | None = None, **_: Any) -> InferResponse:
        """What KServe calls for an inference."""
        doubled = payload.inputs[0].as_numpy() * 2
        output = InferOutput(name="y", shape=list(doubled.shape), datatype=payload.inputs[0].datatype)
        output.set_data_from_numpy(doubled, binary_data=True)
        return InferResponse(response_id=payload.id or "1", model_name=self.name, infer_outputs=[output])


if __name__ == "__main__":
    ModelServer(http_port=int(sys.argv[1]), grpc_port=int(sys.argv[2]), workers=1).start([Double()])
