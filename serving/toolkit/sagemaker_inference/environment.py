"""The folders and the settings of the serving environment, read from the platform's variables.

The server's own settings come from `serving.settings`; these are for scripts and services that ask the toolkit.
"""

from __future__ import annotations

from pathlib import Path

from serving import settings, toolkit

from . import content_types, logging, parameters

logger = logging.get_logger()

DEFAULT_MODULE_NAME = "inference.py"
DEFAULT_MODEL_SERVER_TIMEOUT = "60"
DEFAULT_STARTUP_TIMEOUT = "600"
DEFAULT_HTTP_PORT = "8080"
DEFAULT_VMARGS = "-XX:-UseContainerSupport"
DEFAULT_MAX_REQUEST_SIZE = None
SAGEMAKER_BASE_PATH = "/opt/ml"

base_dir: str = settings.environment().get(parameters.BASE_PATH_ENV, SAGEMAKER_BASE_PATH)


def _model_dir() -> str:
    """Where the model lies: what the server was told, else the platform's place for it."""
    served = toolkit.served_directory()
    if served is not None:
        return str(served)
    many = settings.environment().get(parameters.MULTI_MODEL_ENV) == "true"
    return str(Path(base_dir) / ("models" if many else "model"))


model_dir: str = _model_dir()
code_dir: str = str(Path(model_dir) / "code")


class Environment:
    """A snapshot of the platform's variables; ValueError where one that counts is no number."""

    def __init__(self) -> None:
        env = settings.environment()
        seconds = env.get(parameters.MODEL_SERVER_TIMEOUT_SECONDS_ENV)
        size = env.get(parameters.MAX_REQUEST_SIZE, DEFAULT_MAX_REQUEST_SIZE)
        self.module_name = env.get(parameters.USER_PROGRAM_ENV, DEFAULT_MODULE_NAME).removesuffix(".py")
        self.model_server_timeout = int(env.get(parameters.MODEL_SERVER_TIMEOUT_ENV, DEFAULT_MODEL_SERVER_TIMEOUT))
        self.model_server_timeout_seconds = int(seconds) if seconds is not None else None
        self.model_server_workers = env.get(parameters.MODEL_SERVER_WORKERS_ENV)
        self.startup_timeout = int(env.get(parameters.STARTUP_TIMEOUT_ENV, DEFAULT_STARTUP_TIMEOUT))
        self.default_accept = env.get(parameters.DEFAULT_INVOCATIONS_ACCEPT_ENV, content_types.JSON)
        self.inference_http_port = env.get(parameters.BIND_TO_PORT_ENV, DEFAULT_HTTP_PORT)
        self.management_http_port = self.inference_http_port
        self.safe_port_range = env.get(parameters.SAFE_PORT_RANGE_ENV)
        self.vmargs = env.get(parameters.MODEL_SERVER_VMARGS, DEFAULT_VMARGS)
        self.max_request_size = int(size) << 20 if size is not None else None
