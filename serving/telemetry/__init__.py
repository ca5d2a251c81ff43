"""What the server says about itself: log lines and metrics, off the hot path."""
