from sagemaker_inference import content_types, decoder, encoder


def input_fn(input_data, content_type):
    return decoder.decode(input_data, content_type)


def output_fn(prediction, accept):
    return encoder.encode(prediction.asnumpy(), accept)
