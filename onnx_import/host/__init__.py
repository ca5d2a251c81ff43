"""Numpy functions for operators that no MXNet graph expresses: one family a module.

Each takes arrays in their carrier dtypes (text as object arrays of str) and the operator's attributes by name, returns a
tuple of arrays, and changes none of its inputs. Converters hand them to `nd.host`; the image carries them.
"""
