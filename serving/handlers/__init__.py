"""Handlers: the default functions of a model, the user's in their places, and the service that composes them."""
