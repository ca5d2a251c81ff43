"""Framework adapters, one module each, imported only when selected."""
