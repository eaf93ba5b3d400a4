#!/bin/bash
# Time look-ups where the clock or the zone does something odd: days of 23 and of 25 hours, and a clock that is set back and
# forward while lines are appended. The daemon's wall clock is shifted by clock_shift.so.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C
shift_file=$scratch/shift
shifting=$(helper clock_shift.so)

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
    shifted_ms=$1
}
daemon_ms() { echo $(($(date +%s%3N) + shifted_ms)); }
daemon_clock_has_reached() { [[ $(daemon_ms) -ge $1 ]]; }
everything_is_sealed() {
    t python3 -c 'import json, sys
for p in json.load(open(sys.argv[1]))["partitions"]:
    if p["sealed_position"] != p["end_position"]: sys.exit(1)' "$topic/.status"
}
# append FILE LINE: and has the daemon look, so that the line has its time now, whichever way it took.
append() { tsh 'echo "$2" >> "$1"; stat "$1@ms0" >/dev/null' "$topic/$1" "$2"; }
# shows NAME LINE...: exactly these.
shows() {
    local name=$1 wanted is
    shift
    wanted=$*
    is=$(t cat "$topic/$name" | paste -sd ' ')
    expect_equal "$wanted" "$is" "$name"
}
# all_shows PATTERN: the lines of the whole topic, in one line.
# shellcheck disable=SC2053
all_shows() { [[ $(t cat "$topic/all" | paste -sd ' ') == $1 ]]; }

say "days of 23 and of 25 hours"
shift_clock 0
export TZ=CET-1CEST,M3.5.0,M10.5.0/3
start_shifted
topic=$mnt/dst
t mkdir "$topic"
tsh 'cd "$1"; touch 1; cd .config; echo 100 > seal.bytes; echo 4096 > segment.bytes' "$topic"
# A line each half an hour, from noon of the day before the change to noon of the day behind it.
t python3 - "$topic" "$shift_file" <<'P'
import calendar, os, struct, sys, time
topic, shift_file = sys.argv[1:]
shift = os.open(shift_file, os.O_RDWR)
codecs = ["lz4", "zstd", "none"]
for first in (2027, 3, 27), (2027, 10, 30):
    for half_hour in range(96):
        at = calendar.timegm(first + (12, 0, 0)) + half_hour * 1800
        os.pwrite(shift, struct.pack("=q", (at - int(time.time())) * 1000 + 500), 0)
        if half_hour % 10 == 0:
            with open(f"{topic}/.config/compression.type", "w") as file:
                file.write(codecs[half_hour // 10 % 3])
        with open(f"{topic}/{half_hour % 2}", "a") as file:
            file.write(f"{at}\n")
        os.stat(f"{topic}/{half_hour % 2}@ms0")  # has it looked at: so it has its time
P
check_dst_days() {
    t python3 - "$topic" <<'P' || fail "$1"
import calendar, sys
topic = sys.argv[1]
def utc(*time):
    return calendar.timegm(time + (0,) * (6 - len(time)))
def read(name):
    with open(f"{topic}/{name}") as file:
        return [int(line) for line in file]
everything = sorted(read("0") + read("1"))
def check(name, begin, end, count):
    wanted = [at for at in everything if begin <= at < end]
    if len(wanted) != count:
        sys.exit(f"the test is wrong: {name}: {len(wanted)}")
    if name.startswith(".days"):
        is_there = read(f"{name}/all"), sorted(read(f"{name}/0") + read(f"{name}/1"))
    else:
        is_there = read(f"all@{name}"), sorted(read(f"0@{name}") + read(f"1@{name}"))
    for found in is_there:
        if found != wanted:
            sys.exit(f"{name}: {len(found)} lines, not {len(wanted)}")
spring = utc(2027, 3, 27, 23), utc(2027, 3, 28, 22)
autumn = utc(2027, 10, 30, 22), utc(2027, 10, 31, 23)
check("2027-03-28..2027-03-29", *spring, 46)
check(".days/2027-03-28", *spring, 46)
check("2027-10-31..2027-11-01", *autumn, 50)
check(".days/2027-10-31", *autumn, 50)
check("2027-10-31..+1d", autumn[0], autumn[0] + 86400, 48)
check("yesterday..today", *autumn, 50)
check(".days/2027-03-27", utc(2027, 3, 27, 12), spring[0], 22)
check(".days/2027-11-01", autumn[1], utc(2027, 11, 2), 26)
# 2:00 to 3:00 is skipped: all of it means the moment of the jump.
jump = utc(2027, 3, 28, 1)
check("2027-03-28T02:30..2027-03-28T04:00", jump, jump + 3600, 2)
check("2027-03-28T02:00..2027-03-28T02:59", jump, jump, 0)
check("20270328T0100..20270328T0230", jump - 3600, jump, 2)
# 2:00 to 3:00 comes twice: the first time counts.
check("2027-10-31T02:30..2027-10-31T03:00", utc(2027, 10, 31, 0, 30), utc(2027, 10, 31, 2), 3)
check("2027-10-31T02:30+01:00..2027-10-31T03:00", utc(2027, 10, 31, 1, 30), utc(2027, 10, 31, 2), 1)
check("2027-10-31T01:00..2027-10-31T02:30", utc(2027, 10, 30, 23), utc(2027, 10, 31, 0, 30), 3)
P
}
check_dst_days "at once"
expect_equal "2027-03-27 2027-03-28 2027-03-29 2027-10-30 2027-10-31 2027-11-01" "$(t ls "$topic/.days" | paste -sd ' ')" "the days"
kill_daemon
start_shifted_by mount_over
check_dst_days "after a death"
stop_mount
start_shifted
wait_until 20 everything_is_sealed
check_dst_days "after a restart"
stop_mount

say "the clock is set back by an hour while lines are appended"
shift_clock 0
# Half an hour ago it was midnight: the step goes over it.
export TZ=TST$((($(date +%s) - 1800) % 86400 / 3600)):$(date -u -d "@$((($(date +%s) - 1800) % 3600))" +%M:%S)
start_shifted
topic=$mnt/steps
t mkdir "$topic"
tsh 'touch "$1/1"; echo 300 > "$1/.config/seal.ms"' "$topic"
today=$(date +%F)
append 0 before0
append 1 before1
moment=$(daemon_ms)
wait_until 5 daemon_clock_has_reached $((moment + 30))
append 0 before2
shows "0@ms$moment" before2
exec 3<"$topic/0@ms$moment"
shows "0@start..ms$moment" before0
shows "all@start..ms$moment" before0 before1
wait_until 20 all_shows "before0 before1 before2"
# Not looked up before the step: so nothing is noted about it.
unseen=$(($(daemon_ms) + 20))
wait_until 5 daemon_clock_has_reached $((unseen + 20))
later=$(($(daemon_ms) + 120000))
timeout 60 cat "$topic/0@ms$moment..ms$later+follow" >"$scratch/followed" &
follower=$!

all_has_all() {
    all_shows "before0 before1 before2 after1 after0 after2" || all_shows "before0 before1 before2 after0 after1 after2" ||
        all_shows "before0 before1 before2 after0 after2 after1"
}
check_stepped_back() {
    # They have the largest time so far: a look-up by the times before the step finds them, and so do those of the clock
    # as it is set now.
    shows "0@ms$moment" before2 after0 after2
    shows "0@ms$(daemon_ms)" before0 before2 after0 after2
    shows 0@-15m before0 before2 after0 after2
    shows 0@-90m before0 before2 after0 after2
    shows "1@ms$moment" after1
    shows "1@ms$unseen"
    # What was told of a time that had passed stays.
    shows "0@start..ms$moment" before0
    shows "all@start..ms$moment" before0 before1
    # The day goes by the records' times, too.
    expect_equal "$today" "$(t ls "$topic/.days")" "$1: the days"
    shows ".days/$today/0" before0 before2 after0 after2
    shows "0@$today" before0 before2 after0 after2
    # Which of two partitions has the larger time by then is not said.
    wait_until 20 all_has_all
    t cmp <(t cat "$topic/all@start..ms$moment" "$topic/all@ms$moment") "$topic/all"
}

shift_clock -3600000
append 0 after0
append 1 after1
append 0 after2
check_stepped_back "at once"
expect_equal "before2 after0 after2" "$(timeout 20 cat <&3 | paste -sd ' ')" "what was open before the step"
exec 3<&-
wait_until 20 everything_is_sealed
check_stepped_back "sealed"
followed_all() { [[ $(paste -sd ' ' "$scratch/followed") == "before2 after0 after2" ]]; }
wait_until 20 followed_all
kill -0 "$follower" || fail "the reader that follows up to a moment ended before it came"

say "the clock goes right again"
shift_clock 0
append 0 again
shows "0@ms$moment" before2 after0 after2 again
shows "0@ms$unseen" again
# What was before the moment for readers before the step is so still.
shows "0@start..ms$moment" before0
shift_clock 180000
wait "$follower" || fail "the reader that follows up to a moment ended with $?"
expect_equal "before2 after0 after2 again" "$(paste -sd ' ' "$scratch/followed")" "what was followed"
append 0 too-late
shows "0@ms$moment..ms$later" before2 after0 after2 again
shows "0@ms$later" too-late
kill_daemon
shift_clock -3600000
start_shifted_by mount_over
shows "0@ms$moment..ms$later" before2 after0 after2 again
shows "0@ms$later" too-late
append 0 after-death
shows "0@ms$moment..ms$later" before2 after0 after2 again
shows "0@ms$later" too-late after-death
stop_mount
