"""A PostgreSQL server of the tests' own, where its programs are installed, on a socket in a folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def programs() -> Path | None:
    """The folder of the newest `postgres` program here; None without one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    beside = shutil.which("postgres")
    return found[-1].parent if found else Path(beside).parent if beside else None


def missing() -> str | None:
    """Why no server can be started here; None if one can."""
    if programs() is None:
        return "no PostgreSQL server is installed (apt install postgresql)"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "the driver psycopg is not installed (pip install 'needlepen[postgresql]')"
    return None


@contextmanager
def server() -> Iterator[str]:
    """The folder with the socket of a server that runs meanwhile."""
    bin_dir = programs()
    assert bin_dir is not None
    with tempfile.TemporaryDirectory(
        prefix="np_pg_"
    ) as name:  # a short path: that of a socket has 107 characters
        user = _unprivileged(Path(name))
        data = f"{name}/data"
        _run(user, name, bin_dir / "initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "-N")
        control = (bin_dir / "pg_ctl", "-D", data, "-w", "-t", "60", "-l", f"{name}/log")
        _run(user, name, *control, "-o", f"-k {name} -c listen_addresses='' -c fsync=off", "start")
        try:
            yield name
        finally:
            _run(user, name, *control, "-m", "immediate", "stop")


def new_database(folder: str, name: str) -> str:
    """URL of an empty place on the server: a schema, which is made in no time."""
    import psycopg

    with psycopg.connect(f"host={folder} user=bench dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")  # type: ignore[call-overload]
    return f"postgresql://bench@/postgres?host={folder}&options=-csearch_path%3D{name}"


def _run(user: str | None, folder: str, *command: object) -> None:
    # Not captured: the server would keep the pipe open.
    subprocess.run(
        [str(word) for word in command], user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL
    )


def _unprivileged(folder: Path) -> str | None:
    """The server does not run as root: a user who owns the folder then."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in names else "nobody"
    shutil.chown(folder, user)
    return user
