"""The toolkit's logger."""

from __future__ import annotations

import logging


def get_logger() -> logging.Logger:
    """The logger "sagemaker-inference"."""
    return logging.getLogger("sagemaker-inference")


def configure_logger() -> None:
    """Add a handler that writes to stderr with the time."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
    get_logger().addHandler(handler)
