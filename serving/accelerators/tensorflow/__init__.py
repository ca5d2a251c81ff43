"""TensorFlow's near side: what scripts and containers call, so that their SavedModels and frozen graphs run on an accelerator.

    EIPredictor, EIKerasModel -> artifacts -> client -> engines/tensorflow
    tfs/attached              -> artifacts -> client -> engines/tensorflow

Nothing here imports TensorFlow but `keras`: signatures are read from the files.
"""
