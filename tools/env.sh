#!/bin/sh
# Makes the virtual environment that every make target runs in: tools/env.sh FOLDER
# tools/env.sh --which only says which interpreter it would take.
#
# The interpreter is $PYTHON when that is set, else the first on PATH that is new enough AND can
# make environments: shims of version managers and Debian's split packages both give names that
# exist and do not work. Needs nothing but a Python and a package index.
set -eu

usable() {
    "$1" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || return 1
    "$1" -c 'import ensurepip' >/dev/null 2>&1 || "$1" -m pip --version >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "no Python >= 3.11 that can make environments among: ${PYTHON:-python3, python3.11 … 3.14}." \
        "Install one (Debian, Ubuntu: apt install python3-venv) or set PYTHON=/path/to/python" >&2
    return 1
}

if [ "$1" = --which ]; then
    find_python
    exit
fi

venv=$1
log=$(mktemp)
trap 'rm -f "$log"' EXIT

quietly() { # the output only when it failed
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        echo "failed: $*" >&2
        return 1
    fi
}

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    echo "making $venv with $("$python" -V)"
    if "$python" -c 'import ensurepip' >/dev/null 2>&1; then
        quietly "$python" -m venv --clear "$venv"
    else
        quietly "$python" -m venv --clear --without-pip "$venv"
        quietly "$python" -m pip --python "$venv/bin/python" install pip
    fi
fi
# 25.1 is the first pip that knows dependency groups.
quietly "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
quietly "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --editable . --group dev
