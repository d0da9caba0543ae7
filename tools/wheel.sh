#!/bin/sh
# The wheel as a user gets it: built, installed in an empty environment, its command run from a
# folder that is not the repository: tools/wheel.sh PYTHON (absolute)
set -eu

python=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$python" -m build --wheel --outdir "$scratch" . >"$scratch/log" 2>&1 ||
    { cat "$scratch/log" >&2; exit 1; }
"$python" -m venv --without-pip "$scratch/venv"
"$python" -m pip --disable-pip-version-check --python "$scratch/venv/bin/python" \
    install --quiet "$scratch"/*.whl
cd "$scratch"
venv/bin/slurm-bridge --version
venv/bin/python -m bridge --help >/dev/null
