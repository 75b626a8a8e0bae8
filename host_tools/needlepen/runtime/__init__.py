"""The MicroPython image that the pen's firmware runs on: obtained once, verified, kept by content.

Ways, in this order: a file that is given, the cache, the publisher's download, a build from Debian's source
packages.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from needlepen.errors import InfrastructureError, UsageError
from needlepen.runtime.cache import GIVEN, RuntimeCache
from needlepen.runtime.model import Runtime, Wanted, WayFailedError
from needlepen.runtime.progress import ProgressLike, TerminalProgress
from needlepen.runtime.verification import WrongImageError, verify

__all__ = ["Runtime", "provide"]

GIVEN_BY_ENVIRONMENT = "NEEDLEPEN_RUNTIME"


def provide(
    micropython_version: str = "1.25.0",
    micropython_board: str = "RPI_PICO",
    given: Path | None = None,
    progress: ProgressLike | None = None,
    offline: bool = False,
    rebuild: bool = False,
) -> Runtime:
    """The verified MicroPython image of this version for this board.

    `given`: use this UF2 (default: the environment variable NEEDLEPEN_RUNTIME). `offline`: no download, no
    build.
    `rebuild`: build from Debian's sources although the cache or the publisher has an image.
    Raises UsageError if the given file is not that image, InfrastructureError if no way leads to one.
    """
    wanted = Wanted(micropython_version, micropython_board)
    with contextlib.ExitStack() as stack:
        shown = progress if progress is not None else stack.enter_context(TerminalProgress())
        if given is None and os.environ.get(GIVEN_BY_ENVIRONMENT):
            given = Path(os.environ[GIVEN_BY_ENVIRONMENT])
        cache = RuntimeCache()
        if given is not None:
            return _from_file(given, wanted, cache, shown)
        cached = None if rebuild else cache.find(wanted)
        return cached or _obtain(wanted, cache, shown, offline=offline, rebuild=rebuild)


def _from_file(path: Path, wanted: Wanted, cache: RuntimeCache, progress: ProgressLike) -> Runtime:
    advice = f"give a UF2 of {wanted}, or none to have it obtained (--uf2, {GIVEN_BY_ENVIRONMENT})"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); {advice}") from error
    known = cache.find_content(content, wanted)
    if known is not None:
        return known
    try:
        booted = verify(content, wanted, progress)
    except WrongImageError as error:
        raise UsageError(f"{path}: {error}; {advice}") from error
    return cache.store(content, wanted, f"{GIVEN}{path.resolve()}", booted)


def _obtain(
    wanted: Wanted, cache: RuntimeCache, progress: ProgressLike, *, offline: bool, rebuild: bool
) -> Runtime:
    """Download or build, one process at a time; whoever had to wait finds the other's result in the cache."""
    with cache.lock(progress):
        cached = None if rebuild else cache.find(wanted)
        if cached is not None:
            return cached
        tried = [f"cache: {'passed over (--rebuild)' if rebuild else f'nothing in {cache.folder}'}"]
        for name, way, passed_over in (
            ("download", _download, "--offline" if offline else "--rebuild" if rebuild else ""),
            ("build from Debian's sources", _build, "--offline" if offline else ""),
        ):
            if passed_over:
                tried.append(f"{name}: not tried ({passed_over})")
                continue
            try:
                content, origin = way(wanted, cache, progress)
                return cache.store(content, wanted, origin, verify(content, wanted, progress))
            except (WayFailedError, WrongImageError) as error:
                tried.append(f"{name}: {error}")
    raise InfrastructureError(
        f"{wanted} cannot be obtained; give its UF2 with --uf2 FILE or {GIVEN_BY_ENVIRONMENT}. Tried:\n  - "
        + "\n  - ".join(tried)
    )


def _download(wanted: Wanted, _cache: RuntimeCache, progress: ProgressLike) -> tuple[bytes, str]:
    from needlepen.runtime import download

    address = download.official_address(wanted)
    return download.download(address, progress), f"download: {address}"


def _build(wanted: Wanted, cache: RuntimeCache, progress: ProgressLike) -> tuple[bytes, str]:
    from needlepen.runtime import debian_build

    content, packages = debian_build.build(wanted, cache.folder, progress)
    return content, f"build: {packages}"
