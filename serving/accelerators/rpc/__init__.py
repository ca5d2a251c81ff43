"""gRPC: unary and streamed calls of bytes to a path.

`channels` opens the near side for a `target`; `server` listens. Messages are bytes here, nothing is parsed.
"""
