"""No model_fn: the container's own Module, which AWS's bound to the accelerator."""


def predict_fn(data, model):
    return model.predict(data)
