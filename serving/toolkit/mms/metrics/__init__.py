"""Metrics that a service reports."""
