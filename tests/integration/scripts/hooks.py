def pre_model_fn(model_dir):
    with open(model_dir + "/order", "a") as order:
        order.write("pre ")


def model_fn(model_dir):
    with open(model_dir + "/order", "a") as order:
        order.write("model ")
    return {"bias": 1}


def model_warmup_fn(model_dir, model):
    model["bias"] = 10
    with open(model_dir + "/order", "a") as order:
        order.write("warm-up")


def predict_fn(data, model):
    return {"sum": (data + model["bias"]).sum(axis=0), "kind": type(data).__name__}
