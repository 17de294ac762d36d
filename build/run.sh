#!/usr/bin/env bash
# The demo fleet: in a window where there can be one, otherwise as a server that prints its address.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [[ $(uname) != Linux ]] || [[ ${DISPLAY:-}${WAYLAND_DISPLAY:-} && -e .venv/.window && ${WINDOW:-} != no ]]; then
  exec .venv/bin/sungaze --demo
fi
echo "No display or no window library here: serving the demo without a window. Ctrl-C stops it."
exec .venv/bin/sungaze --demo --server
