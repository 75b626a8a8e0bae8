"""Firmware of the needle pen. `main.py` starts `pen.app`; README.md maps the modules."""
