"""From firmware sources and a board description to what is written into a pen's flash."""

from needlepen.build.image import AppImage, app_image, export
from needlepen.build.staging import Kind, stage

__all__ = ["AppImage", "Kind", "app_image", "export", "stage"]
