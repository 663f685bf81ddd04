#!/usr/bin/env bash
# Adds routes from a prepared batch file, and flushes those below 10.0.0.0/8: two `ip` processes.
# Usage: ip_routes.sh FILE
set -euo pipefail
source "$(dirname "$0")/clock.sh"

now start
ip -batch "$1"
now added
cpu cpu_ms
ip route flush table main root 10.0.0.0/8
now flushed
printf '{"add_ms":%s,"flush_ms":%s,"cpu_ms":%d}\n' \
  "$(ms "$start" "$added")" "$(ms "$added" "$flushed")" "$cpu_ms"
