"""Engines: a process for each framework that loads artifacts and runs their passes, one at a time.

`process` is what runs in it; `mxnet` and `tensorflow` are the frameworks, each behind `base`'s protocol.
"""
