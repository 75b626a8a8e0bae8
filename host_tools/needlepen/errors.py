"""Errors that reach a person, each with the exit code that the command line returns for it.

The text of an error is one line that says what is wrong, why it matters and what to do.
"""

from __future__ import annotations

import errno
import subprocess


class NeedlepenError(Exception):
    """Base of every error that a command reports without a traceback."""

    exit_code = 2


class ProductFailure(NeedlepenError):
    """The product did not do what a requirement asks (exit code 1)."""

    exit_code = 1


class NotInTime(ProductFailure):
    """What runs on an emulated chip did not do something within a device time that is ample for it.

    A slow host cannot cause it, since device time waits for the host. Troubles of the emulator itself are other errors.
    """


class InfrastructureError(NeedlepenError):
    """Something around the product failed: a port, the emulator, a download (exit code 2)."""

    exit_code = 2


class BoardLost(InfrastructureError):
    """The board under test is gone for good: nothing more can be learned from it in this run."""


class Refused(NeedlepenError):
    """Not done on purpose: identity, wiring, calibration or access does not allow it (exit code 3)."""

    exit_code = 3


class AnotherPen(Refused):
    """A pen answers, and it is not the one that is meant."""


class UsageError(NeedlepenError):
    """The input cannot be used: a wrong file, key, value or option (exit code 4)."""

    exit_code = 4


_HOST_ERRNO = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENODEV, errno.ENXIO}
"""A full disk, a device that was pulled: what an OSError says of the host and not of the product."""


def infrastructure_behind(error: BaseException) -> BaseException | None:
    """The infrastructure trouble that an error is, or was raised from; None if it tells of the product.

    Follows `raise ... from ...` and the members of a group. A ProductFailure is a judgement that somebody made on
    purpose: what it was raised from does not matter any more.
    """
    found: BaseException | None = error
    while found is not None and not isinstance(found, ProductFailure):
        if _is_infrastructure(found):
            return found
        if isinstance(found, BaseExceptionGroup):
            return next(filter(None, map(infrastructure_behind, found.exceptions)), None)
        found = found.__cause__
    return None


def _is_infrastructure(error: BaseException) -> bool:
    """By type; an error of pyserial is known by its module, which need not be imported for it."""
    if isinstance(error, OSError) and error.errno in _HOST_ERRNO:
        return True
    of_serial = any(base.__module__.partition(".")[0] == "serial" for base in type(error).__mro__)
    kinds = (InfrastructureError, ConnectionError, MemoryError, subprocess.TimeoutExpired)
    return of_serial or isinstance(error, kinds)
