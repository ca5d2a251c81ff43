"""Measuring what serves: `ei bench` a running endpoint, `ei sweep` configurations of host and accelerator.

`load` asks in a closed loop, `payload` says what, `trial` starts a configuration, `states` remembers, `report` shows.
"""
