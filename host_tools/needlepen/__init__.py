"""needlepen: host tools, emulated pen and evidence for the needle pen firmware."""

__version__ = "0.1.0"
