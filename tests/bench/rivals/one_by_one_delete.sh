#!/usr/bin/env bash
# Deletes links one by one from a prepared batch file; ends when no veth is left.
# Usage: one_by_one_delete.sh FILE
set -euo pipefail
source "$(dirname "$0")/clock.sh"

now start
ip -batch "$1"
while [ -n "$(ip -o link show type veth)" ]; do sleep 0.002; done
now end
cpu cpu_ms
printf '{"delete_ms":%s,"cpu_ms":%d}\n' "$(ms "$start" "$end")" "$cpu_ms"
