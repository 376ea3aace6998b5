#!/bin/sh
# The tests of the timm adapter, in an environment of their own: timm brings torchvision, which the
# main environment must not hold. Usage: tests/timm/run.sh [VENV] [pytest arguments]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=${1:-$root/.venv/timm}
[ $# -gt 0 ] && shift
python=${PYTHON:-$(command -v python3.11 || command -v python3)}
if ! "$venv/bin/python" -c 'import timm' 2>/dev/null && [ ! -f "$venv/.ready" ]; then
    "$python" -m venv "$venv"
    pip="$venv/bin/python -m pip install --quiet --disable-pip-version-check"
    [ -f "$root/constraints.txt" ] && pip="$pip -c $root/constraints.txt"
    $pip -e "$root" pytest hypothesis beartype pyyaml
    # Without their dependencies: torchvision would pull a torch of its own.
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps timm torchvision
    touch "$venv/.ready"
fi
cd "$root"
PYTHONPATH="$root/tests/timm:$root" HF_HUB_OFFLINE=1 \
    exec "$venv/bin/python" -m pytest -q -p no:cacheprovider tests/timm "$@"
