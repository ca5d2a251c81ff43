"""A bare gRPC echo, as anybody writes one in Python: `echo.py PORT`. It says when it listens, and ends with its input."""

from __future__ import annotations

import sys
from concurrent import futures

import grpc

METHOD = "/echo.Echo/Call"
ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def main() -> None:
    """Answer every call with its own bytes."""
    server = grpc.server(futures.ThreadPoolExecutor(4), options=ANY_SIZE)
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("echo.Echo", {"Call": handler})])
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    server.start()
    for _ in sys.stdin:
        print("[]", flush=True)
    server.stop(None)


if __name__ == "__main__":
    main()
