"""The emulated pen: an RP2040 that runs the real firmware image, and the physics and electronics on its
pins."""

from needlepen.emulator import engine as _engine

_engine.activate()  # before anything imports rp2040py or one of our compiled modules
