"""The package that Elastic Inference's TensorFlow 2 build brought: its predictor and its Keras model, on accelerators of today."""
