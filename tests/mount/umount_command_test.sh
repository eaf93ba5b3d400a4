#!/bin/bash
# topicfs umount: in use, lazy, not ours, dead.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root

say "what is no topicfs mount is refused"
expect_refusal 2 'nothing is mounted' "$TOPICFS" umount "$mnt"
expect_refusal 2 'No such file' "$TOPICFS" umount "$scratch/nowhere"
expect_refusal 2 'no topicfs' "$TOPICFS" umount /proc

say "a mount in use is refused with who uses it"
start_mount
t mkdir "$mnt/orders"
tsh 'seq 100000 >> "$mnt/orders/0"'
seq 100000 >"$scratch/wanted"
tail -n 1 -f "$mnt/orders/0" >/dev/null &
reader=$!
wait_until 10 has_open "$reader" "$mnt/orders/0"
expect_status 1 "$TOPICFS" umount "$mnt"
grep -q "process $reader (tail): open file $mnt/orders/0" "$scratch/err" || fail "not shown: $(cat "$scratch/err")"
is_mounted || fail "unmounted although it is in use"
kill "$reader"
wait "$reader" 2>/dev/null || true
(
    cd "$mnt/orders"
    expect_status 1 "$TOPICFS" umount "$mnt"
    grep -q 'current directory' "$scratch/err" || fail "the current directory is not shown: $(cat "$scratch/err")"
)

say "after umount the store is closed: a mount at once works, and everything is sealed"
stop_mount
segments=$(find "$data/topics/orders/0" -name '*.log.lz4' -size +0 | wc -l)
[[ $segments -ge 1 ]] || fail "nothing was sealed"
t lz4 -dcm "$data"/topics/orders/0/*.log.lz4 >"$scratch/decoded" || fail "lz4 does not decode the segments"
expect_same_file "$scratch/wanted" "$scratch/decoded"
for _ in 1 2 3; do
    start_mount
    expect_same_file "$scratch/wanted" "$mnt/orders/0"
    expect_status 0 "$TOPICFS" umount "$mnt"
done

say "lazy: gone at once, open files go on"
start_mount
exec 5<"$mnt/orders/0"
expect_status 0 "$TOPICFS" umount --lazy "$mnt"
is_not_mounted || fail "still mounted"
t cat <&5 >"$scratch/read"
expect_same_file "$scratch/wanted" "$scratch/read"
exec 5<&-
wait_until 30 daemon_is_gone "$daemon"

say "a mount that is bind-mounted elsewhere is refused at once; lazy, it says what still holds it"
start_mount
mkdir "$scratch/bound"
t mount --bind "$mnt/orders" "$scratch/bound"
seconds_max=10 expect_status 1 "$TOPICFS" umount "$mnt"
grep -q "orders of it is mounted at $scratch/bound too" "$scratch/err" || fail "not shown: $(cat "$scratch/err")"
is_mounted || fail "unmounted although it is bind-mounted elsewhere"
seconds_max=10 expect_status 0 "$TOPICFS" umount --lazy "$mnt"
grep -q "mounted at $scratch/bound too" "$scratch/err" || fail "not shown: $(cat "$scratch/err")"
is_not_mounted || fail "still mounted"
expect_same_file "$scratch/wanted" "$scratch/bound/0"
t umount "$scratch/bound"
wait_until 30 daemon_is_gone "$daemon"

say "a mount that others got by propagation goes with it, and is no reason to refuse"
mkdir "$scratch/shared" "$scratch/peer"
t mount --bind "$scratch/shared" "$scratch/shared"
t mount --make-private "$scratch/shared"
t mount --make-shared "$scratch/shared"
t mount --bind "$scratch/shared" "$scratch/peer"
mkdir "$scratch/shared/mnt"
mnt_before=$mnt
mnt=$scratch/shared/mnt
start_mount
is_mounted "$scratch/peer/mnt" || fail "it was not propagated"
stop_mount
is_not_mounted "$scratch/peer/mnt" || fail "it stayed where it was propagated to"
mnt=$mnt_before
t umount "$scratch/peer"
t umount "$scratch/shared"

say "a dead mount is unmounted"
start_mount
kill_daemon KILL
expect_status 0 "$TOPICFS" umount "$mnt"
is_not_mounted || fail "still mounted"
