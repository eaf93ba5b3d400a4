#!/bin/bash
# Retention by time and a system clock that is not right: nothing goes because the clock jumped forward and came back within
# log.retention.check.interval.ms, nor because it was wrong at the daemon's start; it goes once the clock has stayed. The
# daemon's wall clock is shifted by clock_shift.so.
#
#   CHECK_MS   the interval (default 3 s; a jump of half of it has to be over before that, also on a slow machine)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C TZ=UTC
shift_file=$scratch/shift
shifting=$(helper clock_shift.so)
check_ms=${CHECK_MS:-3000}
days=86400000

start_shifted() { start_shifted_by start_mount; }
start_shifted_by() {
    # The sanitizers' own libraries want to be the first.
    CLOCK_SHIFT_FILE=$shift_file LD_PRELOAD=$shifting ASAN_OPTIONS="verify_asan_link_order=0:$ASAN_OPTIONS" "$@"
}
# shift_clock MS: how far the daemon's clock is ahead of ours.
shift_clock() {
    t python3 -c 'import os, struct, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.pwrite(fd, struct.pack("=q", int(sys.argv[2])), 0)' "$shift_file" "$1"
}
start_of() { t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["partitions"][0]["start_offset"])' "$mnt/$1/.status"; }
starts_at() { (($(start_of "$1") == $2)); }
# A topic that has to give as many bytes as it gets: where its log start has moved there was a check since.
appended=0
note_checks() {
    appended=$((appended + 10))
    tsh 'seq -f "%0999.0f" 10 >> "$mnt/checks/0"'
}
checked() { (($(start_of checks) >= appended - 1)); }
# passes_checks N: waits until so many checks of retention are over that began after this call.
passes_checks() {
    local i
    for ((i = 0; i <= $1; ++i)); do # the first may have begun before
        note_checks
        wait_until 60 checked
    done
}
keeps() { # TOPIC FIRST
    expect_equal "$2" "$(t head -n 1 "$mnt/$1/0")" "$1: the first record"
    expect_equal "$(($2 - 1))" "$(start_of "$1")" "$1: the log start"
}
make_topic() { # NAME RETENTION_MS: with records 1 to 100, sealed, and 101 to 200 that are not
    t mkdir "$mnt/$1"
    tsh 'cd "$mnt/$1"; echo "$2" > .config/retention.ms; echo 100 > .config/file.delete.delay.ms
        echo 100 > .config/seal.bytes; seq 100 >> 0' "$1" "$2"
    wait_until 30 is_sealed "$1"
    tsh 'cd "$mnt/$1"; echo 1048576 > .config/seal.bytes; echo 3600000 > .config/seal.ms; seq 101 200 >> 0' "$1"
}
is_sealed() {
    t python3 -c 'import json, sys
p = json.load(open(sys.argv[1]))["partitions"][0]
sys.exit(p["sealed_position"] != p["end_position"])' "$mnt/$1/.status"
}

shift_clock 0
start_shifted
tsh 'echo "$1" > "$mnt/.config/log.retention.check.interval.ms"' "$check_ms"
t mkdir "$mnt/checks"
tsh 'cd "$mnt/checks/.config"; echo 100 > seal.bytes; echo 1 > retention.bytes; echo 100 > file.delete.delay.ms'
make_topic days7 $((7 * days))
make_topic days40 $((40 * days))
passes_checks 2 # by now the clock is believed

say "30 days forward and back within the interval, again and again: all is there"
for round in 1 2 3; do
    shift_clock $((30 * days))
    before=$(date +%s%3N)
    # A setting that changes has retention looked at, now that the clock is wrong.
    tsh 'echo 200 > "$mnt/days7/.config/file.delete.delay.ms"; echo 100 > "$mnt/days7/.config/file.delete.delay.ms"'
    t cat "$mnt/days7/0" >/dev/null
    sleep "0.$((round * 3))" # the jump lasts so long, that is what is tried
    shift_clock 0
    took=$(($(date +%s%3N) - before))
    ((took < check_ms)) || skip "this machine is too slow: the jump took $took ms, of $check_ms"
    passes_checks 1
    keeps days7 1
    keeps days40 1
done
expect_equal 200 "$(t wc -l <"$mnt/days7/0")" "records"

say "a daemon that starts while the clock is wrong, dead or asked to end before: all is there, if the clock is right in time"
tsh 'echo 60000 > "$mnt/.config/log.retention.check.interval.ms"' # so a restart on a slow machine lies within
shift_clock $((30 * days))
kill_daemon
start_shifted_by mount_over
keeps days7 1
tsh 'stat "$mnt/days7/0@-1d" > /dev/null; echo 200 > "$mnt/days7/.config/file.delete.delay.ms"'
shift_clock 0
stop_mount
start_shifted
tsh 'echo "$1" > "$mnt/.config/log.retention.check.interval.ms"' "$check_ms"
passes_checks 2
keeps days7 1
keeps days40 1

say "30 days forward, and there it stays: 7 days' records go once it has stayed for an interval, 40 days' stay"
begin=$(date +%s%3N)
shift_clock $((30 * days))
wait_until 60 starts_at days7 200
took=$(($(date +%s%3N) - begin))
((took >= check_ms)) || fail "they went after $took ms, before the interval of $check_ms was over"
say "they went after $took ms"
passes_checks 1
keeps days40 1
tsh 'echo 201 >> "$mnt/days7/0"'
passes_checks 1
keeps days7 201

say "back again: what was appended with the later time stays for longer, and nothing else goes"
shift_clock 0
tsh 'echo 202 >> "$mnt/days7/0"'
passes_checks 2
keeps days7 201
keeps days40 1

say "back by 30 days more: nothing goes, also not at a start with that clock"
shift_clock $((-30 * days))
passes_checks 2
keeps days7 201
kill_daemon
start_shifted_by mount_over
passes_checks 2
keeps days7 201
keeps days40 1

say "right again after a month too early: that is a step forward like any other"
shift_clock 0
passes_checks 3
keeps days7 201
keeps days40 1
shift_clock $((70 * days))
wait_until 60 starts_at days40 200
wait_until 60 starts_at days7 202
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
