# Sourced by the shell rivals. Bash has no monotonic clock: this one is the wall clock in
# microseconds, and run.ts holds the results against its own monotonic clock.

_times=$(mktemp)
exec 9<>"$_times"
rm "$_times"

# Sets the variable named $1 to the time now, in microseconds. Starts no process.
now() { printf -v "$1" '%s' "${EPOCHREALTIME/[.,]/}"; }

# Prints the milliseconds from $1 to $2 (microseconds), three decimals.
ms() { printf '%d.%03d' $((($2 - $1) / 1000)) $((($2 - $1) % 1000)); }

# Sets the variable named $1 to the CPU time, in milliseconds, of the processes ended so far.
cpu() {
  times >/proc/self/fd/9
  { read -r _; read -r _user _sys; } </proc/self/fd/9
  printf -v "$1" '%d' $(($(_cpu_ms "$_user") + $(_cpu_ms "$_sys")))
}

# 1m2.345s -> 62345
_cpu_ms() {
  local seconds=${1#*m}
  seconds=${seconds%s}
  printf '%d' $((${1%%m*} * 60000 + 10#${seconds/[.,]/}))
}
