#!/bin/sh
# Type-check the firmware, with its generated modules, against MicroPython's stubs: check_firmware_types.sh VENV
set -eu

bin=$(cd "$1/bin" && pwd)
stubs=$(cd "$1/stubs" && pwd)
config=$(pwd)/firmware/mypy.ini
cache=$(pwd)/.mypy_cache/firmware
staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT

"$bin/python" -c 'import sys; from pathlib import Path; from needlepen.board import load
from needlepen.build import stage; stage(load("pico_pen"), Path(sys.argv[1]))' "$staged"
cd "$staged"
MYPYPATH=$stubs "$bin/mypy" --config-file "$config" --cache-dir "$cache" --no-site-packages \
    --custom-typeshed-dir "$stubs" boot.py main.py pen_loader.py pen_shelf.py pen
