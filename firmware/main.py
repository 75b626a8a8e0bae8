"""Starts the pen. Everything else is in the package `pen`."""

from pen import app

app.run()
