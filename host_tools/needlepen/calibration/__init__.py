"""Depth calibration: the guided procedure, its gauges, its numbers, its database and its certificate."""
