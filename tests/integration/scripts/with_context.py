import mxnet as mx


def model_fn(model_dir, context):
    context.loaded_from = model_dir
    net = mx.gluon.nn.Dense(3, in_units=4)
    net.load_parameters(model_dir + "/net.params")
    return net


def input_fn(input_data, content_type, context):
    context.set_response_header(0, "X-Input-Type", type(input_data).__name__)
    return mx.nd.array([[float(cell) for cell in line.split(",")] for line in input_data.split()])


def predict_fn(data, model, context):
    return model(data)


def output_fn(prediction, accept, context):
    context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", context.get_request_header(0, "x-amzn-sagemaker-custom-attributes"))
    context.set_response_header(0, "X-Model-Dir", context.loaded_from)
    context.set_response_status(201, "made", 0)
    context.metrics.add_counter("answers", 1)
    return ",".join(str(value) for value in prediction.asnumpy().argmax(axis=1)), "text/csv"
