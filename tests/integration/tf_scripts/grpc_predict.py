"""Asks the model over gRPC by the context's channel, or by a channel of its own to the context's port."""

import json

import grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

DT_FLOAT = 1


def handler(data, context):
    values = json.loads(data.read())
    request = predict_pb2.PredictRequest()
    request.model_spec.name = context.model_name
    request.model_spec.signature_name = "serving_default"
    request.inputs["x"].dtype = DT_FLOAT
    request.inputs["x"].tensor_shape.dim.add(size=len(values))
    request.inputs["x"].float_val.extend(values)
    if context.accept_header == "text/plain":
        with grpc.insecure_channel(f"localhost:{context.grpc_port}") as channel:
            answer = _ask(channel, request)
    else:
        answer = _ask(context.channel, request)
    return json.dumps(answer), "application/json"


def _ask(channel, request):
    import struct

    y = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=10).outputs["y"]
    return list(y.float_val) or [value for (value,) in struct.iter_unpack("<f", y.tensor_content)]
