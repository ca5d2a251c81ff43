"""The control plane: a Flask app for what is asked seldom."""
