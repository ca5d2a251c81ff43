"""A stand-in for TensorFlow Serving, for tests: its gRPC services by its own stubs, on Python's TensorFlow and `session.run`.

It shares no code with the product. `python -m tests.tf_serving_server` takes the flags of `tensorflow_model_server`.
"""
