"""The model that a stock Triton runs an artifact of ours with, by its Python backend; sent along with the artifact's files.

The option `path` says where MXNet and our import of it are: the process that Triton starts knows of no environment.
"""

import json
import sys
from pathlib import Path
from typing import Any

import triton_python_backend_utils as triton


class TritonPythonModel:
    """What Triton's Python backend looks for in a file `model.py`."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """The tensors, which an artifact's own configuration leaves to the symbol."""
        for name, add in (("data", config.add_input), ("softmax_output", config.add_output)):
            add({"name": name, "data_type": "TYPE_FP32", "dims": [-1, -1]})
        config.set_max_batch_size(0)
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Load the artifact's files, which lie beside this one."""
        sys.path[:0] = json.loads(args["model_config"])["parameters"]["path"]["string_value"].split(":")
        from serving.backends.mxnet_import import import_mxnet

        self.mx = import_mxnet()
        folder = Path(args["model_repository"], args["model_version"])
        self.model = self.mx.model.load_checkpoint(str(folder / "model"), 0)

    def execute(self, requests: list[Any]) -> list[Any]:
        """A pass for each request."""
        symbol, args, aux = self.model
        replies = []
        for request in requests:
            data = self.mx.nd.array(triton.get_input_tensor_by_name(request, "data").as_numpy())
            executor = symbol.bind(self.mx.cpu(), {**args, "data": data}, aux_states=aux, grad_req="null")
            answer = executor.forward(is_train=False)[0].asnumpy()
            replies.append(triton.InferenceResponse([triton.Tensor("softmax_output", answer)]))
        return replies
