"""Which devices are there, which one is meant, who holds it: identity comes before everything else.

Nothing but an identification is written to a board before it is known, and at most one frame of that.
"""

from needlepen.devices.choice import choose_device
from needlepen.devices.model import Device, Holder
from needlepen.devices.opening import open_pen
from needlepen.devices.option import device_option
from needlepen.devices.search import find_devices

__all__ = ["Device", "Holder", "choose_device", "device_option", "find_devices", "open_pen"]
