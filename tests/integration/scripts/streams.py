def model_fn(model_dir):
    return None


def transform_fn(model, data, content_type, accept):
    def chunks():
        for word in data.split():
            if word == "stop":
                raise ValueError("told to stop")
            yield word + "\n"

    return chunks(), "text/plain"
