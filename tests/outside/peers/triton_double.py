"""A Triton server of one model, `double`: y = 2x. `triton_double.py HTTP_PORT GRPC_PORT METRICS_PORT`; SIGINT ends it.

It needs Debian's python3.11, with .venv/triton on the path: what runs Python models in NVIDIA's wheel links to that one's
library.
"""

import sys
from typing import Any

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig, TritonSecurityConfig


@batch  # type: ignore[untyped-decorator]
def double(x: Any) -> list[Any]:
    """One pass of stacked calls."""
    return [x * 2]


def main() -> None:
    """Serve until a signal ends it."""
    http, grpc, metrics = map(int, sys.argv[1:])
    ports = {"http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    config = TritonConfig(http_address="127.0.0.1", grpc_address="127.0.0.1", **ports)
    # pytriton closes the model repository by default; a plain Triton does not.
    with Triton(config=config, security_config=TritonSecurityConfig(restricted_endpoints=[])) as triton:
        x, y = (Tensor(name=name, dtype=np.float32, shape=(-1,)) for name in "xy")
        triton.bind("double", double, inputs=[x], outputs=[y], config=ModelConfig(max_batch_size=8))
        triton.serve()


if __name__ == "__main__":
    main()
