"""What a person or a script waits for before anything happens."""

from __future__ import annotations

import os
import subprocess
import sys

from needlepen.benchmark.program import help_s

LIMIT_S = 0.5
HEAVY = ("serial", "rich", "numpy", "filelock", "pydantic", "needlepen.link", "needlepen.emulator")


def test_the_help_is_there_at_once() -> None:
    """The quickest of some tries: the others measure what else the machine does."""
    best_s = help_s()
    print(f"needlepen --help: {best_s:.2f} s, limit {LIMIT_S} s")
    assert best_s < LIMIT_S


def test_the_help_and_the_package_import_nothing_heavy() -> None:
    code = (
        "import sys, needlepen, needlepen.cli\n"
        "from click.testing import CliRunner\n"
        "assert CliRunner().invoke(needlepen.cli.cli, ['--help']).exit_code == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"


def test_pen_and_async_pen_are_offered_by_the_package() -> None:
    code = (
        "from needlepen import AsyncPen, Pen\n"
        "import needlepen\n"
        "assert Pen.open and AsyncPen.open and needlepen.Pen is Pen\n"
        "try:\n    needlepen.Nothing\nexcept AttributeError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "no attribute 'Nothing'" in done.stdout
