"""Where a pass runs: inline, on the event loop of one process per core, or in a pool of model processes behind one front."""
