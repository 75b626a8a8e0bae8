#!/bin/sh
# Make or refresh the virtual environment for development: make_venv.sh FOLDER, run from the repository.
# Debian's Python comes without the venv module; its package is installed if it is missing and we may.
set -eu

venv=$1
usable='import sys; sys.exit(sys.version_info < (3, 11))'

find_python() {
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && "$candidate" -c "$usable" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo 'error: needlepen needs Python 3.11 or newer and finds none; install one (Debian: apt-get install python3)' >&2
    exit 2
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_venv_module() {
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    echo "Installing $package, which this Python needs to make a virtual environment ..."
    if ! { as_root apt-get -qq update &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "$package"; } >/dev/null; then
        echo "error: no virtual environment without the package $package, and installing it failed; install it by hand: apt-get install $package" >&2
        exit 2
    fi
}

python=$(find_python)
# A folder left by an interrupted run, or by a Python that is gone, is made anew.
if ! "$venv/bin/python" -c "$usable" 2>/dev/null || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_venv_module "$python"
    "$python" -m venv --clear "$venv"
fi
echo "Installing needlepen and its tools into $venv (about half a minute) ..."
"$venv/bin/python" -m pip install -qq --disable-pip-version-check -e '.[test]'
# MicroPython's stubs replace the standard library's types: they must not be where the host code's checker looks.
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --upgrade --target "$venv/stubs" \
    micropython-rp2-rpi_pico-stubs==1.25.0.post3
