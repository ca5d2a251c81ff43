"""Does what the request's body says."""

import json
import sys


def input_handler(data, context):
    word = data.read().decode("utf-8")
    if word == "raise":
        raise ValueError("something is wrong with é")
    if word == "raise nothing":
        raise RuntimeError
    if word == "exit":
        sys.exit(3)
    if word == "hang":
        while True:
            pass
    documents = {"none": None, "dict": {"instances": [1.0]}, "number": 5, "bytes": b"[]", "pieces": iter(["{}", b"x"])}
    return documents.get(word, json.dumps({"instances": [1.0], "signature_name": "serving_default"}) if word else word)


def output_handler(response, context):
    answers = {
        "nothing": None,
        "bare": "a body alone",
        "three": ("a", "b", "c"),
        "number": (5, "text/plain"),
        "type": ("a", 5),
        "line break": ("a", "text/plain\r\nX-Mine: 1"),
        "untyped": (response.content, None),
        "list": [response.text, "text/plain"],
        "memory": (memoryview(response.content), "text/plain"),
    }
    if context.custom_attributes == "exit":
        sys.exit(4)
    return answers.get(context.custom_attributes, (response.content, "application/json"))
