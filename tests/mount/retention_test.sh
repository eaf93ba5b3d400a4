#!/bin/bash
# Retention by bytes and by time, and topicfs trim: what is given back, what open files see of it, and what is found anew.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C TZ=UTC

start_of() { t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["partitions"][0]["start_offset"])' "$1/.status"; }
starts_behind() { (($(start_of "$1") > $2)); }
disk_of() { du --block-size=1 -s "$data/topics/$1" | cut -f 1; }
takes_less() { (($(disk_of "$1") <= $2)); }
has_lines() { (($(wc -l <"$1") >= $2)); }
lines() { # FROM TO
    seq -f 'line %08.0f of a log that is long enough to be cut somewhere, and has some more to say' "$1" "$2"
}
set_quick() { # TOPIC: small pieces, and nothing waits long
    tsh 'cd "$1/.config"; echo 65536 > seal.bytes; echo 50 > seal.ms; echo 400000 > segment.bytes
        echo none > compression.type; echo 100 > file.delete.delay.ms' "$1"
}

start_mount
tsh 'echo 100 > "$mnt/.config/log.retention.check.interval.ms"'

say "by bytes: followers miss nothing, the disk has its space back"
topic=$mnt/bytes
t mkdir "$topic"
set_quick "$topic"
lines 1 1000 >"$scratch/written"
tsh 'cat "$scratch/written" >> "$1/0"' "$topic"
inode=$(t stat -c %i "$topic/0")
tail -n +1 -f "$topic/0" >"$scratch/followed" &
follower=$!
tail -n +1 -F "$topic/0" >"$scratch/followed_by_name" 2>/dev/null &
follower_by_name=$!
timeout 120 cat "$topic/0+follow" >"$scratch/waited" &
waiter=$!
wait_until 20 has_lines "$scratch/followed" 1000
wait_until 20 has_lines "$scratch/followed_by_name" 1000
t mkdir "$topic/.groups/behind"
t head -c 900 "$topic/.groups/behind/0" >"$scratch/first" # begins the group
committed=$(t cat "$topic/.groups/behind/0.offset")
tsh 'echo 300000 > "$1/.config/retention.bytes"' "$topic"
for ((from = 1001; from < 60000; from += 1000)); do
    lines "$from" $((from + 999)) >"$scratch/piece"
    cat "$scratch/piece" >>"$scratch/written"
    tsh 'cat "$scratch/piece" >> "$1/0"' "$topic"
    wait_until 20 has_lines "$scratch/followed" $((from + 999))
    wait_until 20 has_lines "$scratch/followed_by_name" $((from + 999))
done
wait_until 20 has_lines "$scratch/waited" 60000
for follower_output in followed followed_by_name waited; do
    expect_same_file "$scratch/written" "$scratch/$follower_output"
done
kill "$follower" "$follower_by_name" "$waiter"
wait "$follower" "$follower_by_name" "$waiter" 2>/dev/null || true
expect_equal "$inode" "$(t stat -c %i "$topic/0")" "the inode number"
# A batch, head, and what the books take.
wait_until 30 takes_less bytes $((300000 + 2 * 65536 + 100000))
start=$(start_of "$topic")
((start > 50000)) || fail "the log starts at $start only"
tail -n +"$((start + 1))" "$scratch/written" >"$scratch/kept"
(($(stat -c %s "$scratch/kept") >= 300000)) || fail "too much went"
expect_same_file "$scratch/kept" "$topic/0"
expect_equal "$(stat -c %s "$scratch/kept")" "$(t stat -c %s "$topic/0")" "the size"
t ls "$topic/0@$((start - 1))" 2>/dev/null && fail "an offset before the log start was found"
expect_equal "$(head -n 1 "$scratch/kept")" "$(t head -n 1 "$topic/0@$start")" "the first record by its offset"
expect_same_file "$scratch/kept" "$topic/0@start"
expect_same_file "$scratch/kept" "$topic/0@2000-01-01"
expect_same_file "$scratch/kept" "$topic/all"

say "a group that was overtaken goes on at the log start, and what it missed is counted"
timeout 20 cat "$topic/.groups/behind/0" >"$scratch/consumed"
expect_same_file "$scratch/kept" "$scratch/consumed"
missed=$(t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["groups"][0]["partitions"][0]["missed"])' "$topic/.status")
expect_equal "$((start - committed))" "$missed" "the records that the group has missed"

say "an open file keeps its positions, until what it reads is given back"
t python3 - "$topic/0" "$topic" "$scratch/kept" <<'P'
import errno, os, sys, time
path, topic, kept = sys.argv[1:]
want = open(kept, "rb").read()
old = os.open(path, os.O_RDONLY)
assert os.pread(old, 1000, 0) == want[:1000]
with open(topic + "/.config/retention.bytes", "w") as setting:
    setting.write("100000")
deadline = time.monotonic() + 20
while True:
    try:
        got = os.pread(old, 1000, 0)
        assert got == want[:1000], "another byte than before"
    except OSError as error:
        assert error.errno == errno.EIO, error
        break
    assert time.monotonic() < deadline, "the front was never given back"
    time.sleep(0.02)
end = len(want)
assert os.fstat(old).st_size == end, "the size of what is open has changed"
assert os.pread(old, 1000, end - 1000) == want[-1000:], "the end has moved"
with open(path, "ab", buffering=0) as log:
    log.write(b"one more\n")
assert os.pread(old, 100, end) == b"one more\n"
P
echo "one more" >>"$scratch/written"

say "by time: all goes that is older, head too; what comes then is there"
topic=$mnt/time
t mkdir "$topic"
set_quick "$topic"
tsh 'seq 1000 >> "$1/0"; echo 300 > "$1/.config/retention.ms"' "$topic"
wait_until 30 starts_behind "$topic" 999
tsh 'echo new >> "$1/0"' "$topic"
expect_equal new "$(t tail -n 1 "$topic/0@$((1000))" 2>/dev/null || t cat "$topic/0@1000+follow" | head -n 1)" "what came then"
tsh 'echo -1 > "$1/.config/retention.ms"' "$topic"

say "trim by offset, by time and to the end; never back"
topic=$mnt/trim
t mkdir "$topic"
set_quick "$topic"
tsh 'seq 1 100 >> "$1/0"' "$topic"
expect_status 0 "$TOPICFS" trim "$topic/0" --to 40
expect_equal 41 "$(t head -n 1 "$topic/0")" "the first record"
expect_status 0 "$TOPICFS" trim "$topic/0" --to start
expect_refusal 2 'before the log start' "$TOPICFS" trim "$topic/0" --to 39
expect_refusal 2 'behind the log end' "$TOPICFS" trim "$topic/0" --to 101
expect_refusal 2 'never|place|not' "$TOPICFS" trim "$topic/0" --to never
expect_refusal 2 'is missing' "$TOPICFS" trim "$topic/0"
expect_refusal 2 '' "$TOPICFS" trim "$scratch" --to 1
expect_equal 41 "$(t head -n 1 "$topic/0")" "the first record after refusals"
expect_status 0 "$TOPICFS" trim "$topic" --to 2000-01-01 --json
expect_equal 41 "$(t head -n 1 "$topic/0")" "the first record after an early time"
restart
expect_equal 41 "$(t head -n 1 "$topic/0")" "the first record after a restart"
expect_status 0 "$TOPICFS" trim "$topic" --to end
expect_equal "" "$(t cat "$topic/0")" "what is left"
kill_daemon
mount_over
expect_equal 100 "$(start_of "$topic")" "the log start after a death"
tsh 'echo 101 >> "$1/0"' "$topic"
expect_equal 101 "$(t cat "$topic/0")" "what came then"
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
