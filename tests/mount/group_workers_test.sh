#!/bin/bash
# Sixteen workers share a topic of sixteen partitions as a group while four writers append; they are killed at random
# and started again, and so is the daemon. In the end each record was given to somebody, in its partition's order, and
# none again after a worker had come back for it.
#
#   KILLS    of workers (default 60)      DAEMON_KILLS  (default 2)      SEED  of who and when (default: printed)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C
kills=${KILLS:-60}
daemon_kills=${DAEMON_KILLS:-2}
seed=${SEED:-$RANDOM}
RANDOM=$seed
say "$kills kills, $daemon_kills of the daemon; SEED=$seed"
program=$tests_directory/group_workers.py
workers=16

start_mount
tsh 'echo 16 > "$mnt/.config/num.partitions"; mkdir "$mnt/t" "$mnt/t/.groups/g"'
# Batches are sealed while the workers read.
tsh 'echo 20000 > "$mnt/t/.config/seal.bytes"; echo 100 > "$mnt/t/.config/seal.ms"'
stream=$mnt/t/.groups/g/all+follow
mkdir "$scratch/logs"

jobs_of=()
sessions=0
start_worker() { # NUMBER
    "$program" work "$stream" "$scratch/logs/$sessions" 2>"$scratch/worker.$sessions.err" &
    jobs_of[$1]=$!
    sessions=$((sessions + 1))
}
kill_worker() { # NUMBER
    kill -KILL "${jobs_of[$1]}" 2>/dev/null || true
    wait "${jobs_of[$1]}" 2>/dev/null || true
}
bytes_of_logs() { find "$scratch/logs" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }'; }
have_grown() { [[ $(bytes_of_logs) -gt $1 ]]; }
lag_is() {
    t "$TOPICFS" lag "$mnt/t" --json | t python3 -c '
import json, sys
sys.exit(sum(p["lag"] for g in json.load(sys.stdin)["groups"] for p in g["partitions"]) != int(sys.argv[1]))' "$1"
}

writer_jobs=()
start_writers() {
    rm -f "$scratch/stop"
    writer_jobs=()
    for writer in a b c d; do
        timeout 500 "$program" write "$scratch/stop" "$mnt/t"/{0..15} "$1$writer" &
        writer_jobs+=("$!")
    done
}
stop_writers() {
    touch "$scratch/stop"
    for job in "${writer_jobs[@]}"; do
        wait "$job" || fail "a writer ended with $?"
    done
}

for ((i = 0; i < workers; ++i)); do
    start_worker "$i"
done
for ((part = 0; part <= daemon_kills; ++part)); do
    start_writers "$part"
    wait_until 60 have_grown "$(bytes_of_logs)"
    for ((n = 0; n < kills / (daemon_kills + 1); ++n)); do
        # The moment of the kill is what this test is about: a random one within 100 ms.
        sleep "0.$(printf '%03d' $((RANDOM % 100)))"
        worker=$((RANDOM % workers))
        kill_worker "$worker"
        start_worker "$worker"
        wait_until 60 have_grown "$(bytes_of_logs)"
    done
    if ((part < daemon_kills)); then
        start=$(bytes_of_logs)
        kill_daemon
        stop_writers
        for ((i = 0; i < workers; ++i)); do
            kill_worker "$i"
        done
        mount_over
        say "the daemon was killed at $start bytes of records given"
        for ((i = 0; i < workers; ++i)); do
            start_worker "$i"
        done
    fi
done
stop_writers
is_drained_soon() {
    local deadline=$((SECONDS + 60))
    until lag_is 0; do
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}
if ! is_drained_soon; then
    t "$TOPICFS" lag "$mnt/t" >&2
    t grep waiting_reads "$mnt/.status" >&2
    fail "the group does not get all"
fi
t "$TOPICFS" lag "$mnt/t" --json | t python3 -c '
import json, sys
assert all(p["has_reader"] for g in json.load(sys.stdin)["groups"] for p in g["partitions"])'
for ((i = 0; i < workers; ++i)); do
    kill_worker "$i"
done
if grep -h -A 20 Traceback "$scratch"/worker.*.err; then fail "a worker has failed"; fi
seconds_max=300 t "$program" check "$mnt/t" "$scratch/logs"/* >"$scratch/checked" || fail "SEED=$seed"
say "$(<"$scratch/checked")"
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
