"""Variables of AWS's TensorFlow container without a meaning here."""

from __future__ import annotations

import logging

import pytest

from serving import noted
from serving.settings import KNOBS


def test_each_that_is_set_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """A line for each variable that is set, with its value and why it changes nothing; silence about the others."""
    with caplog.at_level(logging.INFO, "ei.start"):
        noted.say({"SAGEMAKER_GUNICORN_WORKERS": "4", "SAGEMAKER_TFS_NUM_BATCH_THREADS": " ", "OTHER": "1"})
    [record] = caplog.records
    assert record.message.startswith("SAGEMAKER_GUNICORN_WORKERS=4 changes nothing here: ")


def test_none_is_a_setting() -> None:
    """What a setting reads is not in the list."""
    read = {name for knob in KNOBS for name in knob.metadata["env"]}
    assert read & noted.NOTED.keys() == set()
