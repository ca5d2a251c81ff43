"""The far side: one process that holds the connections, the queues and the files, and starts the engines.

rpc.server -> front -> repository (loads) -> store (files)
                   -> queues (calls)      -> engines (processes)
"""
