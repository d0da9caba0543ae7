#!/usr/bin/env bash
# The stories on the real stack: tools/e2e.sh PYTHON [pytest's arguments]
#
# The stories are shared by E2E_LANES processes, each with a stack of its own: mostly they wait.
# The stacks are started here and not by the first story, because on a new machine their parts are
# built first, which takes longer than any test may. They end with this script, whatever happens.
set -euo pipefail

python=$1
shift

# Two runs would take each other's ports and files, unless each has stacks of its own
# (E2E_STACK=name, E2E_PORT_BASE=port). The lock ends with this process.
stack=${E2E_STACK:-e2e}
lanes=${E2E_LANES:-2}
exec 9>"${TMPDIR:-/tmp}/slurm-bridge-$stack.lock"
if ! flock --nonblock 9; then
	echo "the real stack: another run of these stories is under way on this machine; wait for its end" >&2
	exit 1
fi

end_stacks() {
	for ((lane = 0; lane < lanes; lane++)); do
		"$python" -m tests.e2e.stack down --name "$stack-$lane"
	done
}
trap end_stacks EXIT

for ((lane = 0; lane < lanes; lane++)); do
	PYTEST_XDIST_WORKER=gw$lane "$python" -c '
from tests.arena import real
from tests.e2e.stack import StackError, Settings, Stack
try:
    Stack.up(Settings(name=real.NAME, port_base=real.PORT_BASE))
except StackError as error:
    raise SystemExit(f"the real stack: {error}") from None
'
done
"$python" -m pytest tests/contract tests/flows tests/hostile tests/e2e --stack=real --timeout=300 \
	--numprocesses="$lanes" "$@"
