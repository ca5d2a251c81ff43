"""The model behind flask, as in the sample containers that most people begin with."""

from __future__ import annotations

import os
from importlib import import_module

import flask

app = flask.Flask(__name__)
code = import_module(f"benchmarks.peers.{os.environ['BENCH_CODE']}")
model = code.Model(os.environ["BENCH_MODEL"])


@app.get("/ping")
def ping() -> flask.Response:
    """The process is up, and so is its model."""
    return flask.Response(status=200)


@app.post("/invocations")
def invocations() -> flask.Response:
    """Rows in, the model's output out."""
    rows = code.decode(flask.request.get_data(), flask.request.content_type or "")
    return flask.Response(code.encode(model.predict(rows)), mimetype="application/json")
