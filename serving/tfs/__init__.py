"""TensorFlow Serving's protocols, and the service that speaks them.

    bytes -> document.rewrite -> tensors.predict -> SavedModel.run -> answers.row, answers.column -> bytes     REST predict
                              -> examples.parse  -> SavedModel.run -> examples.*_answer           -> bytes     REST classify
    bytes -> messages         ->                    SavedModel.run -> messages                    -> bytes     gRPC

`attributes` finds the model, its version and the method. All but `service` and `servables` are plain functions without state.
"""
