"""MXNet symbols as ONNX graphs: one function for each MXNet operator, MXNet's own exporter for those that it does right."""
