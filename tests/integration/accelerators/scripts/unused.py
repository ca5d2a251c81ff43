"""A script that leaves the accelerator alone, though it is told that there is one."""

import os


def model_fn(model_dir):
    return None


def predict_fn(data, model):
    return {"present": os.environ["SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT"]}
