#!/bin/bash
# A pool of workers on one topic: each gets some of its partitions, and when one dies the others get what it had.
#
#     worker_pool.sh N TOPIC GROUP COMMAND...      e.g. worker_pool.sh 4 /mnt/topics/orders billing ./bill
#
# A worker that ends is started again, after a second, until SIGTERM or SIGINT comes.
set -euo pipefail
if [[ $# -lt 4 || ! $1 =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: worker_pool.sh N TOPIC GROUP COMMAND..." >&2
    exit 2
fi
if [[ ! -d $2/.groups ]]; then
    echo "worker_pool.sh: $2: no topic of a mounted topicfs" >&2
    exit 2
fi
count=$1
shift
here=$(dirname "$0")

keep_worker() {
    local worker=
    trap 'kill "$worker" 2>/dev/null; exit 0' TERM INT
    while true; do
        "$here/worker.sh" "$@" &
        worker=$!
        wait "$worker" || true
        sleep 1 &
        worker=$!
        wait "$worker" || true
    done
}

keepers=()
trap 'kill "${keepers[@]}" 2>/dev/null; wait; exit 0' TERM INT
for ((i = 0; i < count; ++i)); do
    keep_worker "$@" &
    keepers+=($!)
done
wait
