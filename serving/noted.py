"""Variables of AWS's TensorFlow container that mean nothing here: read, and said so once in the log.

They tune processes that are not there, nginx, gunicorn and TF Serving, or a GPU
[aws/sagemaker-tensorflow-serving-container tfs_utils.py, serve.py].
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from serving import settings

log = logging.getLogger("ei.start")

_PROCESSES = "requests are answered by one model process per core (SAGEMAKER_MODEL_SERVER_WORKERS)"
_PROXY = "there is no proxy in front of the models"

NOTED: Mapping[str, str] = {
    "SAGEMAKER_TFS_FRACTIONAL_GPU_MEM_MARGIN": "TensorFlow runs on the CPU",
    "SAGEMAKER_TFS_VERSION": "it labels AWS's images",
    "SAGEMAKER_TFS_NGINX_LOGLEVEL": _PROXY + "; EI_LOG_LEVEL sets the log's level",
    "SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS": _PROXY + "; EI_DEADLINE_SECONDS is the deadline",
    "SAGEMAKER_GUNICORN_WORKERS": _PROCESSES,
    "SAGEMAKER_GUNICORN_THREADS": _PROCESSES,
    "SAGEMAKER_GUNICORN_WORKER_CLASS": _PROCESSES,
    "SAGEMAKER_GUNICORN_LOGLEVEL": "EI_LOG_LEVEL sets the log's level",
    "SAGEMAKER_GUNICORN_TIMEOUT_SECONDS": "EI_DEADLINE_SECONDS is the deadline",
    "SAGEMAKER_MULTI_MODEL_UNIVERSAL_BUCKET": "scripts come with the model",
    "SAGEMAKER_MULTI_MODEL_UNIVERSAL_PREFIX": "scripts come with the model",
}
"""Variable -> why it changes nothing."""


def say(environ: Mapping[str, str] | None = None) -> None:
    """Log a line for each of these variables that is set."""
    environ = settings.environment() if environ is None else environ
    for name, why in NOTED.items():
        if environ.get(name, "").strip():
            log.info("%s=%s changes nothing here: %s", name, environ[name], why)
