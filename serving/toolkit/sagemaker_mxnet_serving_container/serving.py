"""The container's entry point: it starts this server."""

from __future__ import annotations

from sagemaker_inference import model_server

from . import handler_service

HANDLER_SERVICE = handler_service.__name__
DEFAULT_ENV_VARS = {
    "MXNET_CPU_WORKER_NTHREADS": "1",
    "MXNET_CPU_PRIORITY_NTHREADS": "1",
    "MXNET_KVSTORE_REDUCTION_NTHREADS": "1",
    "OMP_NUM_THREADS": "1",
}


def main() -> None:
    """Serve until SIGTERM."""
    model_server.start_model_server(handler_service=HANDLER_SERVICE)
