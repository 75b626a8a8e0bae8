"""needlepen: host tools, emulated pen and evidence for the needle pen firmware.

`from needlepen import Pen, AsyncPen` talks to a pen from Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from needlepen.link.aio import AsyncPen as AsyncPen
    from needlepen.link.pen import Pen as Pen

__version__ = "0.1.0"
_LAZY = {"Pen": "needlepen.link.pen", "AsyncPen": "needlepen.link.aio"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'needlepen' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)
