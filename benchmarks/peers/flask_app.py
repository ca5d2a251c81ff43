"""The model behind flask, as in the sample containers that most people begin with."""

from __future__ import annotations

import os

import flask

from benchmarks.peers.mxnet_model import Model, decode, encode

app = flask.Flask(__name__)
model = Model(os.environ["BENCH_MODEL"])


@app.get("/ping")
def ping() -> flask.Response:
    """The process is up, and so is its model."""
    return flask.Response(status=200)


@app.post("/invocations")
def invocations() -> flask.Response:
    """Rows in, the model's output out."""
    rows = decode(flask.request.get_data(), flask.request.content_type or "")
    return flask.Response(encode(model.predict(rows)), mimetype="application/json")
