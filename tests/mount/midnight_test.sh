#!/bin/bash
# Lines that are appended across a midnight, while the daemon is killed around it and the next one is started: each is in
# one day, the right one, whichever name the day is read by, from head and from segments, and after restarts. A midnight
# some seconds from now is had by giving the daemon a zone. In one round it is one that comes twice, as the clock is set
# back over it, in another it is skipped.
#
#   ROUNDS   which, of: before at after twice skipped (default: all)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C
rounds=${ROUNDS:-before at after twice skipped}
writer=$(dirname "$0")/stamped_writer.py
resolution_ms=10 # of a record's time, by the contract

now_ms() { date +%s%3N; }
clock_has_reached() { [[ $(now_ms) -ge $1 ]]; }
# hms SECONDS: as TZ has it.
hms() {
    local s=${1#-}
    printf '%s%d:%02d:%02d' "$([[ $1 == -* ]] && printf -- -)" $((s / 3600)) $((s / 60 % 60)) $((s % 60))
}
day_at() { TZ=UTC date -d "@$1" "$2"; }

# choose_zone ROUND SECOND: sets $zone, in which a day begins at that second of Unix time, and the two $days around it.
choose_zone() {
    local west=$(($2 % 86400)) # how far local time is behind UTC
    days=("$(day_at $(($2 - west - 1)) +%F)" "$(day_at $(($2 - west)) +%F)" "$(day_at $(($2 - west + 86400)) +%F)")
    # Days of a year as POSIX's Jn counts them: without the 29th of February.
    local day=$((10#$(day_at "$(date -u -d "2025-${days[1]:5}" +%s)" +%j)))
    case $1 in
        twice) # a second after midnight the clock is set back by an hour
            zone="TSU$(hms "$west")TST$(hms $((west + 3600))),J$day/0:00:01,J$((day > 300 ? 1 : day + 60))/0"
            ;;
        skipped) # the clock goes from 0:00 to 1:00
            zone="TST$(hms "$west")TSU$(hms $((west - 3600))),J$day/0,J$((day > 300 ? 1 : day + 60))/0"
            ;;
        *) zone="TST$(hms "$west")" ;;
    esac
}

everything_is_sealed() {
    t python3 -c 'import json, sys
for p in json.load(open(sys.argv[1]))["partitions"]:
    if p["sealed_position"] != p["end_position"]: sys.exit(1)' "$topic/.status"
}
# The whole topic, which lags some milliseconds behind the partitions.
all_is_whole() { [[ $(t stat -c %s "$topic/all") -eq $(($(t stat -c %s "$topic/0" "$topic/1" "$topic/2" | paste -sd +))) ]]; }

# check_days WHEN: all names of the days agree, and each line is where its time says.
check_days() {
    wait_until 20 all_is_whole
    local listed
    listed=$(t ls "$topic/.days" | paste -sd ' ')
    expect_equal "${days[0]} ${days[1]}" "$listed" "$round, $1: the days"
    t python3 - "$topic" "$scratch/acknowledged.$round" "$midnight_ms" "$killed_ms" "$resolution_ms" \
        "$scratch/stalls.$round" "${days[@]}" <<'P' ||
import collections, os, sys
topic, logs, midnight, killed, resolution = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
# When this machine gave nobody the 10 ms that times are promised to.
stalls = [tuple(map(int, line.split())) for line in open(sys.argv[6])]
days = sys.argv[7:10]
midnight, killed, resolution = midnight * 10**6, killed * 10**6, resolution * 10**6
def read(name):
    with open(f"{topic}/{name}", "rb") as file:
        return file.read()
lines = [collections.Counter(), collections.Counter()]
for name in ["0", "1", "2", "all"]:
    parts = [read(f"{name}@{days[i]}..{days[i + 1]}") for i in (0, 1)]
    if b"".join(parts) != read(name):
        sys.exit(f"the two days of {name} are not the whole of it")
    for i in (0, 1):
        if not parts[i]:
            sys.exit(f"{days[i]}/{name} is empty")
        if parts[i] != read(f".days/{days[i]}/{name}"):
            sys.exit(f"{name}@{days[i]}..{days[i + 1]} is not .days/{days[i]}/{name}")
        if parts[i] != read(f"{name}@{days[i]}..+1d")[:len(parts[i])]:
            sys.exit(f"{name}@{days[i]}..+1d is another")
        if os.stat(f"{topic}/{name}@{days[i]}..{days[i + 1]}").st_size != len(parts[i]):
            sys.exit(f"stat of {name}@{days[i]} has another size")
        count = collections.Counter(parts[i].split(b"\n")[:-1])
        if name == "all":
            if count != lines[i]:
                sys.exit(f"{days[i]}/all has other lines than the partitions")
        else:
            lines[i] += count
where = {}
for i in (0, 1):
    for line, count in lines[i].items():
        key = tuple(line.split(b" ", 2)[:2])
        if count != 1 or key in where:
            sys.exit(f"{key} is there more than once")
        where[key] = i
late = early = excused = 0
for log in os.listdir(logs):
    for entry in open(f"{logs}/{log}"):
        number, begun, returned, result = entry.split()
        begun, returned = int(begun), int(returned)
        day = where.pop((log.encode(), number.encode()), None)
        if day is None:
            if result == "ok":
                sys.exit(f"{log} {number} is lost")
        elif day == 1 and returned < min(midnight, killed) - resolution:
            # What a daemon has not seen gets the next one's time.
            if any(begin <= min(midnight, killed) and end >= returned for begin, end in stalls):
                excused += 1
                continue
            late += 1
            print(f"{log} {number} is a day late; it returned {(midnight - returned) / 1e6:.1f} ms before midnight, "
                  f"{(killed - returned) / 1e6:.1f} ms before the daemon was killed")
        elif day == 0 and begun >= midnight:
            early += 1
            print(f"{log} {number} is a day early; it began {(begun - midnight) / 1e6:.1f} ms after midnight")
if excused:
    print(f"{excused} lines are a day late, as this machine stood still right before midnight")
if where:
    sys.exit(f"nobody has written {list(where)[:3]}")
if late or early:
    sys.exit(f"{late} lines are a day late, {early} a day early")
P
        fail "$round: $1"
    # A line is as old as its last byte.
    expect_equal first "$(t cat "$topic.slow/.days/${days[0]}/0")" "$round, $1: the line before the one in two pieces"
    expect_equal "half and rest" "$(t cat "$topic.slow/0@${days[1]}")" "$round, $1: the line in two pieces"
}

start_mount
for round in $rounds; do
    midnight_s=$(($(date +%s) + 4))
    midnight_ms=$((midnight_s * 1000))
    choose_zone "$round" "$midnight_s"
    say "$round: TZ=$zone, a midnight between ${days[0]} and ${days[1]}"
    stop_mount
    export TZ=$zone
    start_mount
    topic=$mnt/$round
    t mkdir "$topic"
    tsh 'cd "$1"; touch 1 2; cd .config; echo 20000 > seal.bytes; echo 150 > seal.ms; echo 4096 > segment.bytes' "$topic"
    mkdir "$scratch/acknowledged.$round"
    python3 "$(dirname "$0")/stall_watch.py" "$scratch/stall" "$scratch/stalls.$round" &
    stall_watch=$!
    jobs=()
    for spec in a:0:held b:0:opening c:1:held d:1:opening e:all:held f:all:opening; do
        IFS=: read -r name file way <<<"$spec"
        timeout 60 python3 "$writer" "$topic/$file" "$name" "$scratch/acknowledged.$round/$name" \
            $((midnight_ms + 1500)) "$way" &
        jobs+=("$!")
    done
    t mkdir "$topic.slow"
    tsh 'echo first >> "$1.slow/0"; printf half >> "$1.slow/0"; echo zstd > "$1/.config/compression.type"' "$topic"
    case $round in
        before) kill_ms=$((midnight_ms - 500)) ;;
        after) kill_ms=$((midnight_ms + 120)) ;;
        *) kill_ms=$((midnight_ms - 3)) ;;
    esac
    wait_until 20 clock_has_reached $((kill_ms - 40))
    while ! clock_has_reached "$kill_ms"; do :; done
    killed_ms=$(now_ms)
    kill -KILL "$daemon"
    if [[ $round == before ]]; then
        # What is appended meanwhile gets the next start's time: a day later.
        wait_until 20 clock_has_reached $((midnight_ms + 60))
    fi
    mount_over
    wait_until 20 clock_has_reached $((midnight_ms + 20))
    tsh 'echo " and rest" >> "$1.slow/0"; echo none > "$1/.config/compression.type"' "$topic"
    for job in "${jobs[@]}"; do
        wait "$job" || fail "$round: a writer ended with $?"
    done
    kill "$stall_watch"
    wait "$stall_watch" || true
    check_days "from head and segments"
    wait_until 20 everything_is_sealed
    check_days "all sealed"
    restart
    check_days "after a restart"
    kill_daemon
    mount_over
    check_days "after a death"
done
stop_mount
