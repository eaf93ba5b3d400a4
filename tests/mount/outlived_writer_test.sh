#!/bin/bash
# A writer that keeps its descriptor while the daemon is killed, the mount detached, and the data mounted again: all that
# it writes before, between and after is there, once.
#
#   ROUNDS   (default 6)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C
rounds=${ROUNDS:-6}

start_mount
reason=$(no_passthrough_because)
[[ -z $reason ]] || skip "passthrough is not to be had here: $reason"
t mkdir "$mnt/lines" "$mnt/empty"
tsh 'echo 4096 > "$mnt/lines/.config/seal.bytes"; echo 20 > "$mnt/lines/.config/seal.ms"
    echo 100000 > "$mnt/lines/.config/segment.bytes"'
file=$mnt/lines/0

# new_daemon: as a user does who finds the mount dead.
new_daemon() {
    kill_daemon
    t umount -l "$mnt"
    is_not_mounted || fail "still mounted"
    start_mount
}
counts_up() { # FILE: numbered lines from 0 on, each whole and once; prints how many
    t awk '$0 != "line " (NR - 1) " of the writer that stays" { print "line " NR ": " $0; exit 1 } END { print NR }' "$1"
}
# wrote: how many lines the writer has written; it says so in a file of its own after each.
wrote() { stat -c %s "$scratch/wrote"; }
goes_on() { [[ $(wrote) -gt $1 ]]; }

say "$rounds times a new daemon under a writer that goes on and on"
timeout --kill-after=5 300 python3 - "$file" "$scratch/wrote" "$scratch/stop" <<'PYTHON' &
import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
said = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
number = 0
while not os.path.exists(sys.argv[3]):
    line = b"line %d of the writer that stays\n" % number
    assert os.write(fd, line) == len(line)
    os.write(said, b".")  # a byte a line
    number += 1
    if number % 20 == 0:
        time.sleep(0.002)  # not as fast as can be, so that there are some thousands of segments at most
PYTHON
writer=$!
wait_until 10 test -s "$scratch/wrote"
for ((round = 1; round <= rounds; ++round)); do
    wait_until 20 goes_on $(($(wrote) + 500))
    kill_daemon
    while_dead=$(wrote)
    wait_until 20 goes_on $((while_dead + 200)) # it goes on while there is no daemon
    t umount -l "$mnt"
    start_mount
    at_least=$(wrote)
    # Read at once through the new mount.
    t cat "$file" >"$scratch/read"
    count=$(counts_up "$scratch/read") || fail "round $round: $count"
    ((count >= at_least)) || fail "round $round: $count lines are there, $at_least were written"
    size=$(t stat -c %s "$file")
    ((size >= $(stat -c %s "$scratch/read"))) || fail "round $round: the size is $size"
    grep -q 'a writer that outlived its mount' "$log" || fail "the log does not say that a writer is still there"
    # Others open it beside, on both ways.
    tsh 'exec 3>>"$1"; exec 3>&-
        python3 -c "import os, sys; os.close(os.open(sys.argv[1], os.O_RDWR | os.O_APPEND))" "$1"' "$file"
done
touch "$scratch/stop"
wait "$writer" || fail "the writer ended with $?"
written=$(wrote)
t cat "$file" >"$scratch/read"
expect_equal "$written" "$(counts_up "$scratch/read")" "lines that are there"

say "what it wrote through an old mount is sealed, and is followed, by the new daemon"
restart
expect_same_file "$scratch/read" "$file"
: >"$scratch/two"
exec 7>>"$mnt/lines/1"
echo before >&7
new_daemon
: >"$scratch/followed"
timeout 60 cat "$mnt/lines/1+follow" >"$scratch/followed" &
cat=$!
same_size() { [[ $(stat -c %s "$scratch/two") -eq $(stat -c %s "$scratch/followed") ]]; }
echo before >>"$scratch/two"
wait_until 10 same_size
for i in $(seq 200); do
    echo "after $i" >&7
    echo "after $i" >>"$scratch/two"
    if ((i % 3 == 0)); then
        tsh 'echo "a new one, $1" | tee -a "$scratch/two" >> "$mnt/lines/1"' "$i"
    fi
    if ((i % 40 == 0)); then
        wait_until 10 same_size
    fi
done
wait_until 10 same_size
expect_same_file "$scratch/two" "$mnt/lines/1"
expect_same_file "$scratch/two" "$scratch/followed"
sealed() { # all of partition 1 is in segments
    t python3 -c 'import json, sys; p = json.load(open(sys.argv[1]))["partitions"][1]
sys.exit(p["sealed_position"] != p["end_position"])' "$mnt/lines/.status"
}
echo last >&7
echo last >>"$scratch/two"
wait_until 20 sealed
expect_same_file "$scratch/two" "$mnt/lines/1"
kill "$cat"
wait "$cat" 2>/dev/null || true

say "and through a clean end of the new daemon, which does not wait for it"
stop_mount
echo 'with no daemon at all' >&7
echo 'with no daemon at all' >>"$scratch/two"
start_mount
expect_same_file "$scratch/two" "$mnt/lines/1"
echo 'and a last one' >&7
echo 'and a last one' >>"$scratch/two"
exec 7>&-
expect_same_file "$scratch/two" "$mnt/lines/1"

say "a topic that somebody may still append to is not removed, however old his mount is"
exec 8>>"$mnt/empty/0"
expect_errno EBUSY rmdir "$mnt/empty"
new_daemon
expect_errno EBUSY rmdir "$mnt/empty"
exec 8>&-
can_be_removed() { t rmdir "$mnt/empty" 2>/dev/null; }
wait_until 10 can_be_removed
[[ ! -e $data/topics/empty ]] || fail "the topic's directory is still there"
t mkdir "$mnt/empty"
exec 8>>"$mnt/empty/0"
expect_errno EBUSY rmdir "$mnt/empty"
echo kept >&8
exec 8>&-
expect_errno ENOTEMPTY rmdir "$mnt/empty"
expect_equal kept "$(t cat "$mnt/empty/0")" "content"

stop_mount
expect_status 0 "$TOPICFS" verify "$data"
"$TOPICFS" cat "$data" lines/0 | cmp - "$scratch/read"
"$TOPICFS" cat "$data" lines/1 | cmp - "$scratch/two"
