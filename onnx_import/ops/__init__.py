"""Converters, a family a module; `registry.load` imports them all. Adding an operator is one function here and one test."""
