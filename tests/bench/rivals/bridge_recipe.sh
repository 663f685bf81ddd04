#!/usr/bin/env bash
# The tutorial recipe: two namespaces joined by a bridge, a ping across, and everything removed.
# Usage: bridge_recipe.sh PREFIX [COMMAND ARG...]
# PREFIX (12 characters at most) starts every name; COMMAND runs in the first namespace instead of
# ping and has to reach 192.168.123.2.
set -euo pipefail

need() {
  command -v "$1" >/dev/null && return
  echo "$1 not found; install it with: apt-get install -y $2" >&2
  exit 127
}
need ip iproute2

prefix=${1:?PREFIX is missing}
if [ ${#prefix} -gt 12 ]; then
  echo "PREFIX \"$prefix\" is longer than 12 characters" >&2
  exit 2
fi
shift
if [ $# = 0 ]; then
  need ping iputils-ping
  set -- ping -c 1 -W 5 192.168.123.2
fi

source "$(dirname "$0")/clock.sh"
bridge=${prefix}br
brctl=$(command -v brctl || true)

remove() {
  for n in 1 2; do ip netns del "$prefix-ns$n"; done
  ip link del "$bridge"
}
# Only names that nothing had before are ours to remove.
for name in "/run/netns/$prefix-ns1" "/run/netns/$prefix-ns2" "/sys/class/net/$bridge"; do
  if [ -e "$name" ]; then
    echo "$name exists already" >&2
    exit 1
  fi
done
# Deleting a namespace takes its veth ends, and so their peers, a while later.
links_left() {
  local lines
  mapfile -t lines </proc/net/dev
  [[ "${lines[*]}" == *" $bridge:"* || "${lines[*]}" == *" ${prefix}p"[12]:* ]]
}
clean_up() {
  set +e
  remove 2>/dev/null
  ip link del "${prefix}p1" 2>/dev/null
  ip link del "${prefix}p2" 2>/dev/null
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

now start
ip netns add "$prefix-ns1"
ip netns add "$prefix-ns2"
if [ -n "$brctl" ]; then
  brctl addbr "$bridge"
  brctl stp "$bridge" off
else
  ip link add "$bridge" type bridge stp_state 0
fi
ip link set dev "$bridge" up
for n in 1 2; do
  ip link add "${prefix}t$n" type veth peer name "${prefix}p$n"
  if [ -n "$brctl" ]; then
    brctl addif "$bridge" "${prefix}p$n"
  else
    ip link set "${prefix}p$n" master "$bridge"
  fi
  ip link set "${prefix}t$n" netns "$prefix-ns$n"
  ip netns exec "$prefix-ns$n" ip link set dev "${prefix}t$n" up
  ip link set dev "${prefix}p$n" up
done
for n in 1 2; do
  ip netns exec "$prefix-ns$n" ip a add "192.168.123.$n/24" dev "${prefix}t$n"
done
ip netns exec "$prefix-ns1" "$@" >&2
now replied

remove
while links_left; do sleep 0.002; done
now end
trap - EXIT
cpu cpu_ms
printf '{"setup_to_reply_ms":%s,"total_ms":%s,"cpu_ms":%d}\n' \
  "$(ms "$start" "$replied")" "$(ms "$start" "$end")" "$cpu_ms"
