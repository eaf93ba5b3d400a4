#!/bin/bash
# What goes through a partition at a steady pace takes no more of the disk than retention.bytes, what comes in during one
# check and one delay, a batch and head. Who follows it sees every line, and no append waits.
#
#   BYTES        that go through (default 600 MB)      BYTES_PER_SECOND  (default 40 MB)
#   KEPT_BYTES   retention.bytes (default 100 MB)      CODECS            (default "none lz4")
#   CHECK_MS     log.retention.check.interval.ms (1 s) DELAY_MS          file.delete.delay.ms (5 s)
#   WRITE_BYTES  of one write(2) (default 64 KiB)
#   FOLLOW       tail (the default): tail -f, which reads 8 KiB at once, so 100 MB/s take a machine without other work;
#                follow: cat of 0+follow
#   COMPARE      1 (the default): without retention too; 0: not
#   SLOW_MS      by how much the daemon's own threads may be late, on a machine with other work (default 3 s)
#   LIMIT_MS     if given: no write(2) may take longer; else it is only said what they took
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C
bytes=${BYTES:-600000000}
pace=${BYTES_PER_SECOND:-40000000}
kept=${KEPT_BYTES:-100000000}
check_ms=${CHECK_MS:-1000}
delay_ms=${DELAY_MS:-5000}
slow_ms=${SLOW_MS:-3000}
write_bytes=${WRITE_BYTES:-65536}
paced=$(helper paced_lines)
seconds_max=$((60 + 3 * bytes / pace))
seal_bytes=1048576
# Of the partition's books (recovery point, times, indices), the directories, and blocks that are kept in part.
books=1000000

# write TOPIC: sets $lines, $written, $took_ms, $writes, $p50, $p999, $longest and $late.
write() {
    t "$paced" write "$mnt/$1/0" "$bytes" "$pace" "$write_bytes" >"$scratch/wrote" || fail "$(cat "$scratch/wrote")"
    read -r lines written took_ms writes p50 p999 longest late <"$scratch/wrote"
    say "$1: $written bytes in $took_ms ms, $writes writes: median $p50 us, 99.9 % $p999 us, longest $longest us; at most $late us late"
}
# watch_disk TOPIC FILE: every 50 ms what the partition takes, "MILLISECONDS ALL HEAD", until it is killed.
watch_disk() {
    exec python3 - "$data/topics/$1/0" "$2" <<'P'
import os, sys, time
directory, to = sys.argv[1:]
with open(to, "w", buffering=1) as out:
    while True:
        at, taken, head = time.clock_gettime_ns(time.CLOCK_REALTIME) // 1000000, 0, 0
        for name in os.listdir(directory):
            try:
                blocks = os.stat(f"{directory}/{name}").st_blocks * 512
            except FileNotFoundError:
                continue
            taken += blocks
            head += blocks if name.endswith(".head") else 0
        out.write(f"{at} {taken} {head}\n")
        time.sleep(0.05)
P
}
follow() {
    if [[ ${FOLLOW:-tail} == tail ]]; then
        exec tail -n +1 -f "$mnt/$1/0"
    else
        exec timeout "$seconds_max" cat "$mnt/$1/0+follow"
    fi
}
has_ended() { ! kill -0 "$1" 2>/dev/null; }
largest() { awk "{ is = $1 } is > max { max = is } END { printf \"%d\", max }" "$scratch/disk"; }
disk_of() { du --block-size=1 -s "$data/topics/$1/0" | cut -f 1; }
fits() { (($(disk_of "$1") <= $2)); }

for codec in ${CODECS:-none lz4}; do
    start_mount
    tsh 'echo "$1" > "$mnt/.config/log.retention.check.interval.ms"' "$check_ms"
    if [[ $codec == none && ${COMPARE:-1} == 1 ]]; then
        say "without retention, to compare"
        t mkdir "$mnt/all_kept"
        tsh 'echo none > "$mnt/all_kept/.config/compression.type"; echo "$1" > "$mnt/all_kept/.config/seal.bytes"' "$seal_bytes"
        BYTES=$bytes
        bytes=$((bytes < 3000000000 ? bytes : 3000000000)) # it stays on the disk
        write all_kept
        bytes=$BYTES
        t "$TOPICFS" delete "$mnt/all_kept" >/dev/null
        t rm -r "$mnt/.trash/all_kept"
    fi

    say "$codec, retention.bytes $kept"
    t mkdir "$mnt/$codec"
    tsh 'cd "$mnt/$1/.config"; echo "$1" > compression.type; echo "$2" > retention.bytes; echo "$3" > file.delete.delay.ms
        echo "$4" > seal.bytes' "$codec" "$kept" "$delay_ms" "$seal_bytes"
    watch_disk "$codec" "$scratch/disk" &
    watcher=$!
    rm -f "$scratch/pipe"
    mkfifo "$scratch/pipe"
    follow "$codec" >"$scratch/pipe" 2>"$scratch/follow.err" &
    follower=$!
    t "$paced" check "$bytes" <"$scratch/pipe" >"$scratch/checked" &
    checker=$!
    write "$codec"
    end_ms=$(date +%s%3N)
    # A check begins within its interval, and what it moves past is given back a delay later.
    at_most=$((kept + seal_bytes + seal_bytes + books))
    wait_until $(((check_ms + delay_ms + slow_ms) / 1000)) fits "$codec" "$at_most"
    say "$codec: after the last append $(($(date +%s%3N) - end_ms)) ms until the disk has no more than $at_most bytes: $(disk_of "$codec")"
    kill "$watcher"
    wait "$watcher" 2>/dev/null || true
    most=$(largest '$2')
    most_stored=$(largest '$2 - $3')
    at_most=$((kept + pace / 1000 * (check_ms + delay_ms) + seal_bytes + books))
    say "$codec: the disk held $most bytes at most ($at_most and head); segments $most_stored, head $(largest '$3')"
    ((most_stored <= at_most + pace / 1000 * slow_ms)) || fail "segments had $most_stored bytes, of $at_most"
    [[ -z ${LIMIT_MS:-} ]] || ((longest <= LIMIT_MS * 1000)) || fail "an append waited for $longest us"
    wait_until 60 has_ended "$checker"
    wait "$checker" || fail "who follows has not seen every line: $(cat "$scratch/checked" "$scratch/follow.err")"
    say "$codec: who follows has seen $(cat "$scratch/checked")"
    kill "$follower" 2>/dev/null || true
    wait "$follower" 2>/dev/null || true
    start=$(t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["partitions"][0]["start_offset"])' "$mnt/$codec/.status")
    ((start > 0)) || fail "nothing has gone"
    ((lines == $(t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["partitions"][0]["end_offset"])' "$mnt/$codec/.status"))) ||
        fail "records were lost"
    stop_mount
    stored=$(find "$data/topics/$codec/0" -name '*.log.*' -printf '%b\n' | awk '{ sum += $1 * 512 } END { printf "%d", sum }')
    ((stored >= kept)) || fail "only $stored bytes are left: too much went"
    expect_status 0 "$TOPICFS" verify "$data"
    rm -r "$data"
done
