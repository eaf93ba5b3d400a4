#!/bin/bash
# A mixed load for some time: the daemon's memory, descriptors, threads and nodes are at the end what they were after the
# first third of it.
#
#   SOAK_SECONDS    of load (default 60)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C
seconds=${SOAK_SECONDS:-60}

start_mount
# A cache that is full after the first third hides nothing behind it.
tsh 'echo 2097152 > "$mnt/.config/read.cache.bytes"'
t mkdir "$mnt/a" "$mnt/b" "$mnt/c"
tsh 'for topic in a b c; do
    echo 200000 > "$mnt/$topic/.config/seal.bytes"; echo 500 > "$mnt/$topic/.config/seal.ms"
    echo 5000000 > "$mnt/$topic/.config/segment.bytes"; echo start >> "$mnt/$topic/0"
done'

# Each is a loop that ends when $stop is there. They are paced, so that the disk holds what they write.
# shellcheck disable=SC2016  # the inner bash expands them
loads=(
    # Appends past the daemon, by writers that stay for a while.
    'while [[ ! -e $stop ]]; do seq -f "a line of a writer that stays for a while, %.0f" 20000 | pv -q -L 1M >> "$mnt/a/0"; done'
    'while [[ ! -e $stop ]]; do echo "opened, appended, closed" >> "$mnt/a/0"; done'
    # Appends through the daemon.
    'while [[ ! -e $stop ]]; do head -c 20000 /dev/urandom | base64 | dd of="$mnt/b/0" oflag=append,dsync conv=notrunc status=none; done'
    'while [[ ! -e $stop ]]; do python3 -c "import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_APPEND)
for i in range(300): os.write(fd, b\"read and write\\n\")" "$mnt/a/0"; done'
    # Both ways in turns, as the setting says.
    'while [[ ! -e $stop ]]; do for path in auto daemon; do echo $path > "$mnt/c/.config/write.path"; seq 200 >> "$mnt/c/0"; done; done'
    # Followers that come and go, by end, signal and kill.
    'while [[ ! -e $stop ]]; do cat "$mnt/a/0+follow" | head -n 2000; timeout 0.3 cat "$mnt/b/0+follow" || true
        timeout -s KILL 0.2 cat "$mnt/c/0+follow" || true; done > /dev/null 2>&1'
    'while [[ ! -e $stop ]]; do timeout 0.5 tail -n 1 -f "$mnt/a/0" || true; done > /dev/null'
    # Readers of all kinds.
    'while [[ ! -e $stop ]]; do cat "$mnt/a/0" | tail -n 1; tail -n 1000 "$mnt/b/0"; grep -c 7 "$mnt/c/0" || [[ $? -eq 1 ]]; pv -q "$mnt/c/0" | tail -n 1; done > /dev/null'
    # Whoever looks.
    'while [[ ! -e $stop ]]; do stat "$mnt/a/0" "$mnt/b/0+follow"; cat "$mnt/.status" "$mnt/a/.status"
        { ls -l "$mnt" "$mnt/a"; du "$mnt"; } 2>/dev/null || true; done > /dev/null'
    # Settings, and topics that come and go.
    'while [[ ! -e $stop ]]; do for codec in zstd none lz4; do echo $codec > "$mnt/b/.config/compression.type"; sleep 0.1; done
        mkdir "$mnt/passing"; touch "$mnt/passing/1"; cat "$mnt/passing/0"; rmdir "$mnt/passing"; done'
)
load() { # SECONDS
    local script jobs=()
    rm -f "$scratch/stop"
    for script in "${loads[@]}"; do
        stop=$scratch/stop mnt=$mnt timeout --kill-after=5 "$((seconds + 120))" bash -euc "$script" &
        jobs+=("$!")
    done
    sleep "$1" # how long the load is
    touch "$scratch/stop"
    for script in "${!jobs[@]}"; do
        wait "${jobs[script]}" || fail "ended with $?: ${loads[script]}"
    done
}
status() { t python3 -c 'import json, sys; s = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$mnt/.status" "$1"; }
is_quiet() { [[ $(status "s['open_handles'] + s['waiting_reads'] + s['backing_files']") -eq 0 ]]; }
everything_is_sealed() {
    local topic
    for topic in a b c; do
        t python3 -c 'import json, sys; p = json.load(open(sys.argv[1]))["partitions"][0]
sys.exit(p["sealed_position"] != p["end_position"])' "$mnt/$topic/.status" || return 1
    done
}
# sample NAME: what the daemon has when nobody uses it.
sample() {
    wait_until 30 is_quiet
    wait_until 30 everything_is_sealed
    wait_until 30 files_are_closed
    declare -gA "$1"
    local -n to=$1
    to[memory]=$(awk '/^RssAnon/ { print $2 }' "/proc/$daemon/status")
    to[descriptors]=$(find "/proc/$daemon/fd" -mindepth 1 | wc -l)
    to[threads]=$(find "/proc/$daemon/task" -mindepth 1 -maxdepth 1 | wc -l)
    to[nodes]=$(status "s['nodes']")
    say "$1: RssAnon ${to[memory]} kB, ${to[descriptors]} descriptors, ${to[threads]} threads, ${to[nodes]} nodes;" \
        "$(status "'%d bytes in all, %d requests' % (s['raw_bytes'], sum(s['requests'].values()))")"
}
# Files of the store that nobody uses are closed after a while.
files_are_closed() { ! has_open "$daemon" "$data/topics/*"; }
# near WHAT MORE: at the end there is no more of it than after the first third, and MORE.
near() {
    ((at_the_end[$1] <= after_a_third[$1] + $2)) ||
        fail "$1: ${after_a_third[$1]} after the first third, ${at_the_end[$1]} at the end, $2 more are allowed"
}

need pv
load $((seconds / 3))
sample after_a_third
load $((seconds - seconds / 3))
sample at_the_end
near memory 16384
near descriptors 4
near threads 0
near nodes 64
((at_the_end[memory] <= 131072)) || fail "RssAnon is ${at_the_end[memory]} kB"
for topic in a b c; do
    expect_equal 0 "$(t cat "$mnt/$topic/0" | tr -dc '\0' | wc -c)" "NULs in $topic"
done
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
