"""Asks the models over REST: those that the context names, and others on the same port."""

import json

import requests

session = requests.Session()


def handler(data, context):
    body = data.read().decode("utf-8")
    if body == "status":
        answer = session.get(context.rest_uri.partition(":predict")[0])
    elif body == "metadata":
        answer = session.get(context.rest_uri.partition(":predict")[0] + "/metadata")
    elif body.startswith("chain"):
        return _chain(json.loads(body.removeprefix("chain")), context)
    elif context.request_content_type == "text/csv":
        values = [float(value) for value in body.split(",")]
        answer = requests.post(context.rest_uri, data=json.dumps({"instances": values}))
    else:
        answer = requests.post(context.rest_uri, data=body)
    if answer.status_code != 200:
        raise ValueError(answer.content.decode("utf-8"))
    return answer.content, context.accept_header


def _chain(values, context):
    """What one model answers is the other's input."""
    root = context.rest_uri.partition("/v1/models/")[0]
    for model in ("half_plus_three", "add"):
        answer = session.post(f"{root}/v1/models/{model}:predict", json={"instances": values})
        values = answer.json()["predictions"]
    return json.dumps(values), "application/json"
