"""The wire's messages: the Open Inference Protocol v2 with Triton's extensions, and arrays to and from them."""
