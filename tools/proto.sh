#!/bin/sh
# Writes bridge/rpc/slurmbridge from proto/: tools/proto.sh PYTHON
# tools/proto.sh PYTHON --check only compares, and fails if what is there differs.
set -eu
python=$1
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

PATH="$(dirname "$python"):$PATH" "$python" -m grpc_tools.protoc --proto_path=proto \
    --python_out="$made" --grpc_python_out="$made" --mypy_out="$made" --mypy_grpc_out="$made" \
    $(find proto -name '*.proto') 2>/dev/null
# Generated modules name each other from the root of the proto files, which is no package of ours.
find "$made" -name '*.py*' -exec sed -i -E \
    -e 's/^(from|import) slurmbridge/\1 bridge.rpc.slurmbridge/' \
    -e 's/([^.[:alnum:]_])slurmbridge\.v1\.([a-z]+_pb2)/\1bridge.rpc.slurmbridge.v1.\2/g' {} +
for folder in "$made/slurmbridge" "$made/slurmbridge/v1"; do
    echo '"""Generated from proto/ by `make proto`."""' >"$folder/__init__.py"
done

if [ "${2:-}" = --check ]; then
    if ! diff -r -x __pycache__ "$made/slurmbridge" bridge/rpc/slurmbridge; then
        echo "bridge/rpc/slurmbridge is not what proto/ says: run make proto" >&2
        exit 1
    fi
else
    rm -rf bridge/rpc/slurmbridge
    cp -r "$made/slurmbridge" bridge/rpc/slurmbridge
fi
PYTHONPATH=. "$python" tools/record_proto.py ${2:+"$2"}
