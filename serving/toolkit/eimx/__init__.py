"""What scripts of Elastic Inference for MXNet 1.7 import, and never name again: from now on there is a backend `EIA`."""

from serving.accelerators import eia

eia.expect_marks()
