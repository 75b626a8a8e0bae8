"""From a board with anything on it to a pen that runs what was built: BOOTSEL mode, UF2, application, proof."""

from needlepen.flashing.flash import FlashResult, Plan, flash

__all__ = ["FlashResult", "Plan", "flash"]
