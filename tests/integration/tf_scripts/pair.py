"""JSON as it comes and one line of CSV, in; TF Serving's answer as it is, out; what was refused is raised with its text."""

import json


def input_handler(data, context):
    if context.request_content_type == "application/json":
        return data.read().decode("utf-8")
    if context.request_content_type == "text/csv":
        return json.dumps({"instances": [float(value) for value in data.read().decode("utf-8").split(",")]})
    raise ValueError(f'{{"error": "unsupported content type {context.request_content_type}"}}')


def output_handler(response, context):
    if response.status_code != 200:
        raise ValueError(response.content.decode("utf-8"))
    return response.content, context.accept_header
