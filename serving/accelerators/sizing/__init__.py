"""How much memory a model takes on an accelerator: the basis of admission, and of choosing a type.

`estimate` adds up what MXNet and oneDNN will allocate, `measured` runs a model in a process of its own and looks, `advice`
names the type.
"""
