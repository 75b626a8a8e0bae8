"""The files of the pen as the store uses them. Every call may raise OSError; a file that is not there reads as None."""

import os

_ENOENT = 2
_EEXIST = 17


class Files:
    """MicroPython's own file functions. Tests and the host use the same calls on a file system image."""

    def read(self, path, size=-1):
        try:
            with open(path, "rb") as file:
                return file.read(size)
        except OSError as error:
            if error.errno == _ENOENT:
                return None
            raise

    def write(self, path, data):
        """Replace the contents: littlefs shows the old or the new ones, never a mixture."""
        with open(path, "wb") as file:
            file.write(data)

    def append(self, path, data):
        """Append; whole or not at all."""
        with open(path, "ab") as file:
            file.write(data)

    def rename(self, old, new):
        os.rename(old, new)

    def remove(self, path):
        os.remove(path)

    def names(self, folder):
        """Names of the entries of a folder, sorted."""
        return sorted(os.listdir(folder))

    def make_folder(self, path):
        try:
            os.mkdir(path)
        except OSError as error:
            if error.errno != _EEXIST:
                raise
