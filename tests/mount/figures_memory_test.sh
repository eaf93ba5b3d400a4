#!/bin/bash
# Whoever reads settings and figures over and over, beside appends at full speed, leaves the daemon's memory where it was.
#
# The rule: READS times (200,000) one of /.metrics, /.status, a topic's .status and some settings is opened, read to its end and
# closed, in turn. VmRSS of /proc/PID/status is looked at every 1,000 of them. The median of the last fifth is at most 2 MiB above
# that of the second fifth. (In the first the daemon's threads get their first buffers; with READS far fewer than that they do so
# later too, and the rule says nothing.)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3 dd

reads=${READS:-200000}
seconds_max=500 # of the reads

start_mount
t mkdir "$mnt/orders" "$mnt/other"
tsh 'echo 20 > "$mnt/orders/.config/num.partitions"; seq 1000 >> "$mnt/orders/3"
    mkdir "$mnt/orders/.groups/billing"; cat "$mnt/orders/.groups/billing/all" > /dev/null'

# Of one line over and over, which the sealer makes little of: the disk does not get full.
(
    trap - EXIT
    yes '2026-11-21T14:00:00 a line as a service writes it, over and over' |
        exec dd of="$mnt/orders/0" bs=4096 iflag=fullblock oflag=append conv=notrunc status=none
) 2>/dev/null &
writer=$!
appended() { t cat "$mnt/.metrics" | awk '$1 == "topicfs_appended_bytes_total{topic=\"orders\"}" { printf "%d", $2 / 1000000 }'; }
writes() { [[ $(appended) -gt 0 ]]; }
wait_until 30 writes

cat >"$scratch/reader.py" <<'PYTHON'
import statistics
import sys

mount, daemon, reads = sys.argv[1], sys.argv[2], int(sys.argv[3])
names = [".metrics", "orders/.config/segment.bytes", ".status", ".config/read.cache.bytes", "orders/.status",
         "orders/.config/compression.type", "other/.config/seal.ms"]
names = [mount + "/" + name for name in names]

def resident_kib():
    with open(f"/proc/{daemon}/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("VmRSS:")).split()[1])

samples = []
for number in range(reads):
    with open(names[number % len(names)], "rb", buffering=0) as file:
        while file.read(1 << 20):
            pass
    if number % 1000 == 999:
        samples.append(resident_kib())
fifth = len(samples) // 5
before, after = statistics.median(samples[fifth : 2 * fifth]), statistics.median(samples[-fifth:])
print(f"{reads} reads; resident: {before:.0f} KiB, then {after:.0f} KiB (from {min(samples)} to {max(samples)})")
sys.exit(0 if after - before <= 2048 else 1)
PYTHON
begin=$SECONDS
first=$(appended)
status=0
t python3 "$scratch/reader.py" "$mnt" "$daemon" "$reads" >"$scratch/said" || status=$?
say "$(cat "$scratch/said"), in $((SECONDS - begin)) s, beside $(($(appended) - first)) MB appended"
[[ -d /proc/$writer ]] || fail "the appends ended meanwhile"
[[ $(appended) -gt $first ]] || fail "nothing was appended meanwhile"
pkill -TERM -P "$writer" || true
wait "$writer" 2>/dev/null || true
[[ $status -eq 0 ]] || fail "the daemon's memory has grown"
stop_mount
