"""How fast the server is, beside others and beside the model alone. `docs/performance.md` says how to run and read it."""
