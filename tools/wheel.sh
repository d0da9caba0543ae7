#!/bin/sh
# The wheel as a user gets it: built, installed in an empty environment, its command run from a
# folder that is not the repository: tools/wheel.sh PYTHON (absolute)
set -eu

python=$1
repository=$(pwd)
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
venv/bin/kubectl-slurm explain --help >/dev/null

# bridge.slurm stands alone: the wheel without its dependencies, and what docs/slurm-client.md names.
"$python" -m venv --without-pip "$scratch/alone"
"$python" -m pip --disable-pip-version-check --python "$scratch/alone/bin/python" \
    install --quiet --no-deps "$scratch"/*.whl
"$python" -m pip --disable-pip-version-check --python "$scratch/alone/bin/python" \
    install --quiet httpx2 pydantic structlog 2>"$scratch/log" ||  # else it only says what it lacks
    { cat "$scratch/log" >&2; exit 1; }
alone/bin/python -c 'import bridge.slurm'
cd "$repository"
"$python" -m tests.contract.examples "$scratch/alone/bin/python"
