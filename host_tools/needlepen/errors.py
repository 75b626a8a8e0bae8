"""Errors that reach a person, each with the exit code that the command line returns for it.

The text of an error is one line that says what is wrong, why it matters and what to do.
"""


class NeedlepenError(Exception):
    """Base of every error that a command reports without a traceback."""

    exit_code = 2


class ProductFailure(NeedlepenError):
    """The product did not do what a requirement asks (exit code 1)."""

    exit_code = 1


class InfrastructureError(NeedlepenError):
    """Something around the product failed: a port, the emulator, a download (exit code 2)."""

    exit_code = 2


class Refused(NeedlepenError):
    """Not done on purpose: identity, wiring, calibration or access does not allow it (exit code 3)."""

    exit_code = 3


class UsageError(NeedlepenError):
    """The input cannot be used: a wrong file, key, value or option (exit code 4)."""

    exit_code = 4
