"""Network-attached accelerators: a model's graph runs on another process or host, inside a size that the user chose.

    script or handler -> client -> gRPC (Open Inference Protocol v2) -> server -> engine process -> framework

`catalog` names the sizes, `artifact` what is sent, `protocol` and `rpc` the wire, `client` and `attached` the near side,
`server` and `engines` the far side. Importing this package imports none of them.
"""
