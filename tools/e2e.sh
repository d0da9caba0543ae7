#!/usr/bin/env bash
# The stories on the real stack: tools/e2e.sh PYTHON [pytest's arguments]
#
# A stack that is up (make stack-up) is used and left up; otherwise one is started for this run
# and ended with it.
set -euo pipefail

python=$1
shift

if ! compgen -G "tests/e2e/test_*.py" >/dev/null; then
    echo "no story for the real stack in tests/e2e yet"
    exit 0
fi
if ! "$python" -m tests.e2e.stack status >/dev/null 2>&1; then
    trap '"$python" -m tests.e2e.stack down' EXIT
    "$python" -m tests.e2e.stack up
fi
"$python" -m pytest tests/e2e "$@"
