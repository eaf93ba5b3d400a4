#!/bin/bash
# The daemon is killed again and again while lines are appended, the oldest go by retention.bytes, and trims come between:
# the log begins with a record, never before where it was seen to begin or was trimmed to, and never behind what is to be
# kept; from there on no acknowledged line is missing.
#
#   ROUNDS   (default 25)      SEED   of the moments (default: printed)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
rounds=${ROUNDS:-25}
seed=${SEED:-$RANDOM}
RANDOM=$seed
say "$rounds rounds; SEED=$seed"
retention_bytes=100000
state=$scratch/state
directory=$data/topics/k/0

# set_up: settings that differ from round to round.
set_up() {
    local codecs=(lz4 zstd none) sizes=(2000 8192 30000) segments=(4096 20000 65536 1000000)
    seal_bytes=${sizes[RANDOM % 3]}
    tsh 'cd "$mnt/k/.config"; echo "$1" > compression.type; echo "$2" > seal.bytes; echo "$3" > segment.bytes
        echo "$4" > seal.ms; echo "$5" > file.delete.delay.ms' \
        "${codecs[RANDOM % 3]}" "$seal_bytes" "${segments[RANDOM % 4]}" $((RANDOM % 300 + 1)) $((RANDOM % 60 + 1))
}
runs() { grep -q runs "$scratch/writer"; }
# timeout(1) hands the signal on.
end_writer() {
    kill -TERM "$writer" 2>/dev/null || true
    wait "$writer" || fail "round $round (SEED=$seed): the writer: $(cat "$scratch/writer")"
}
check() {
    t python3 "$tests_directory/retention_log.py" check "$mnt/k/0" "$state" "$directory" "$retention_bytes" 30000 \
        >"$scratch/checked" 2>&1 || fail "round $round (SEED=$seed): $(cat "$scratch/checked") $(cat "$state")"
}

start_mount
t mkdir "$mnt/k"
tsh 'echo 20 > "$mnt/.config/log.retention.check.interval.ms"; echo "$1" > "$mnt/k/.config/retention.bytes"' "$retention_bytes"
for ((round = 1; round <= rounds; ++round)); do
    set_up
    : >"$scratch/writer"
    timeout --kill-after=60 100 python3 "$tests_directory/retention_log.py" run "$mnt/k/0" "$state" "$TOPICFS" \
        $((RANDOM)) $((round % 3 != 0)) >"$scratch/writer" 2>&1 &
    writer=$!
    wait_until 20 runs
    # The moment of the kill is what this test is about: a random one.
    sleep "0.$(printf '%03d' $((RANDOM % 400)))"
    kill_daemon
    # Writers past the daemon go on, in some rounds until the next daemon is there.
    ((round % 4 == 0)) || end_writer
    mount_over
    ((round % 4 != 0)) || end_writer
    check
    ((round % 50 != 0)) || say "round $round: $(cat "$state")"
done
field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$state" "$1"; }
(($(field trims) >= rounds / 2)) || fail "only $(field trims) trims in $rounds rounds"
(($(field moved) >= rounds / 10)) || fail "retention moved the log start in $(field moved) of $rounds rounds only"
t cat "$mnt/k/0" >"$scratch/left"
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
"$TOPICFS" cat "$data" k/0 | cmp - "$scratch/left"
say "$(field acknowledged) lines, $(field trims) trims; the log starts with $(field start)"
