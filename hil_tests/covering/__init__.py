"""Coverage of the firmware's pure safety modules by the fast tests: `python -m covering`, with a gate of 100 %."""
