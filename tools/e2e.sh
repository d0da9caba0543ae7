#!/usr/bin/env bash
# The stories on the real stack: tools/e2e.sh PYTHON [pytest's arguments]
#
# The stack is started here and not by the first story, because on a new machine its parts are
# built first, which takes longer than any test may. It ends with this script, whatever happens.
set -euo pipefail

python=$1
shift

# Two runs would take each other's ports and files, unless each has a stack of its own
# (E2E_STACK=name, E2E_PORT_BASE=port). The lock ends with this process.
stack=${E2E_STACK:-e2e}
exec 9>"${TMPDIR:-/tmp}/slurm-bridge-$stack.lock"
if ! flock --nonblock 9; then
	echo "the real stack: another run of these stories is under way on this machine; wait for its end" >&2
	exit 1
fi

trap '"$python" -m tests.e2e.stack down --name "$stack"' EXIT
"$python" -c '
from tests.arena import real
from tests.e2e.stack import StackError, Settings, Stack
try:
    Stack.up(Settings(name=real.NAME, port_base=real.PORT_BASE))
except StackError as error:
    raise SystemExit(f"the real stack: {error}") from None
'
"$python" -m pytest tests/contract tests/flows tests/hostile tests/e2e --stack=real --timeout=300 "$@"
