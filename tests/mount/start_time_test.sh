#!/bin/bash
# How long a start takes after a kill -9, up to the first bytes read, does not grow with what is stored.
#
#   SMALL_BYTES (default 4 MB)   LARGE_BYTES (default 400 MB)   TURNS (default 7)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
small_bytes=${SMALL_BYTES:-4000000}
large_bytes=${LARGE_BYTES:-400000000}
turns=${TURNS:-7}
seconds_max=600

now_ms() { date +%s%3N; }
median() { sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }
recovery_point_is_written() { # everything up to the end is sealed, and nothing of head needs to be read
    [[ $(t du --block-size=1 "$mnt/log/0" | cut -f 1) -lt $(($1 * 9 / 10)) ]]
}

for size in small large; do
    bytes=${size}_bytes
    data=$scratch/$size
    start_mount
    t mkdir "$mnt/log"
    tsh 'seq -f "%010.0f: a line of the log that says nothing of interest" $(($1 / 59)) | cat >> "$mnt/log/0"' "${!bytes}"
    wait_until 60 recovery_point_is_written "${!bytes}"
    stop_mount
    say "$size: ${!bytes} bytes"
done

# start_once SIZE: with a small, unsealed tail each time.
start_once() {
    local begin
    data=$scratch/$1
    mount_over
    tsh 'seq 1000 >> "$mnt/log/0"'
    kill_daemon
    begin=$(now_ms)
    mount_over
    expect_equal 1000 "$(t tail -n 1 "$mnt/log/0")" "the last line"
    echo $(($(now_ms) - begin)) >>"$scratch/$1.ms"
    stop_mount
}
for ((turn = 0; turn < turns; ++turn)); do
    start_once small
    start_once large
done
small_ms=$(median <"$scratch/small.ms")
large_ms=$(median <"$scratch/large.ms")
say "start until the first read: $small_ms ms with $small_bytes bytes, $large_ms ms with $large_bytes"
((large_ms <= small_ms * 3 / 2 + 50)) || fail "it grows with the data: $(paste -sd ' ' "$scratch/small.ms") against" \
    "$(paste -sd ' ' "$scratch/large.ms")"
