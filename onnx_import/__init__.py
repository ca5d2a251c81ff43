"""ONNX models as MXNet artifacts: read, lowered to symbols, verified, and served.

The flow, one module a step: `loader` -> `reader` -> `passes` -> `lower` -> `artifact` -> `verify`. What runs a converted
model (`program`, `lower`, `nd`, `ops`, `host`) imports neither onnx nor onnxruntime: an image needs only this package.
"""
