#!/usr/bin/env bash
# Creates links from a prepared batch file, as fast as iproute2 can: one `ip` process.
# Usage: ip_batch.sh FILE
set -euo pipefail
source "$(dirname "$0")/clock.sh"

now start
ip -batch "$1"
now end
cpu cpu_ms
printf '{"create_ms":%s,"cpu_ms":%d}\n' "$(ms "$start" "$end")" "$cpu_ms"
