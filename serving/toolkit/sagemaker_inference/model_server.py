"""`start_model_server`: what entry scripts call. It starts this server, in this process, with the given handler service."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from serving import settings
from serving.handlers import entry

from .environment import code_dir

DEFAULT_HANDLER_SERVICE = "sagemaker_inference.default_handler_service"
DEFAULT_MMS_MODEL_NAME = "model"
ENABLE_MULTI_MODEL = settings.environment().get("SAGEMAKER_MULTI_MODEL", "false") == "true"
PYTHON_PATH_ENV = "PYTHONPATH"
REQUIREMENTS_PATH = str(Path(code_dir) / "requirements.txt")
_STARTED = "EI_ENTRY_STARTED"


def start_model_server(handler_service: Any = DEFAULT_HANDLER_SERVICE) -> None:
    """Serve until SIGTERM. `handler_service` is a handler's name, or the class or the function itself.

    Called again by a process of the server it returns at once: an entry script without a `__main__` guard is also the module
    that its handler service is imported from.
    """
    if settings.environment().get(_STARTED):
        return
    settings.put(_STARTED, "1")
    name = entry.handler_name(handler_service)
    if name not in entry.DEFAULT_HANDLERS:
        settings.put("SAGEMAKER_HANDLER", name)
    folders = [sys.path[0], settings.environment().get(PYTHON_PATH_ENV, "")]
    settings.put(PYTHON_PATH_ENV, os.pathsep.join(folder for folder in folders if folder))
    from serving.__main__ import main

    main([])
