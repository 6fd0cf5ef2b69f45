#!/bin/sh
# Runs a command in a control group that may use so much memory, page cache included: limited.sh BYTES COMMAND ...
# Says afterwards what it used at most. Needs root; versions 1 and 2 of control groups.
set -eu
bytes=$1
shift
if [ -d /sys/fs/cgroup/memory ]; then
    group=/sys/fs/cgroup/memory/kinora-bench.$$ limit=memory.limit_in_bytes most=memory.max_usage_in_bytes
else
    group=/sys/fs/cgroup/kinora-bench.$$ limit=memory.max most=memory.peak
fi
mkdir "$group"
echo "$bytes" >"$group/$limit"
for swap in memory.swappiness memory.swap.max; do
    if [ -e "$group/$swap" ]; then echo 0 >"$group/$swap"; fi
done
rc=0
sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$group" "$@" || rc=$?
echo "limited.sh: exit code $rc, at most $(cat "$group/$most") of $bytes bytes" >&2
rmdir "$group" 2>/dev/null || true
exit $rc
