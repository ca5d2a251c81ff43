"""HTTP/1.1 in front of the request line: heads, bodies, replies, connections, and the gunicorn worker that holds them."""
