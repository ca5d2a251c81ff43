"""An image of any size, in; the mean of what the model makes of its 64 grey values, out."""

import io
import json

import numpy as np
from PIL import Image


def input_handler(data, context):
    if context.request_content_type != "application/x-image":
        raise ValueError(f"no image: {context.request_content_type}")
    image = Image.open(io.BytesIO(data.read())).convert("L").resize((8, 8))
    return json.dumps({"instances": (np.asarray(image).reshape(1, 64) / 255).tolist()})


def output_handler(response, context):
    response.raise_for_status()
    values = np.array(response.json()["predictions"])
    return json.dumps({"mean": round(float(values.mean()), 4), "type": response.headers["content-type"]}), "application/json"
