#!/bin/bash
# topicfs mount: what it refuses, and how a daemon starts and ends.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root

refused() { expect_refusal 2 "$1" "$TOPICFS" mount "${@:2}"; }

say "mount points that cannot be"
refused 'no such mount point' "$data" "$scratch/nowhere"
touch "$scratch/file"
refused 'not a directory' "$data" "$scratch/file"
refused 'lie one in the other' "$mnt/data" "$mnt"
mkdir -p "$data/inside"
refused 'lie one in the other' "$data" "$data/inside"
refused 'lie one in the other' "$data" "$data"
rm -r "$data"

say "data directories that cannot be"
refused 'ot a directory' "$scratch/file" "$mnt"
refused 'does not exist' "$scratch/no/where" "$mnt"
mkdir "$scratch/foreign"
echo mine > "$scratch/foreign/letter.txt"
refused "$scratch/foreign" "$scratch/foreign" "$mnt"
expect_equal letter.txt "$(ls -A "$scratch/foreign")" "what lies in a directory that is not ours"
mkdir -m 500 "$scratch/locked"
if command -v setpriv >/dev/null && setpriv --reuid 65534 --clear-groups true 2>/dev/null; then
    chmod 755 "$scratch"
    expect_status 2 setpriv --reuid 65534 --regid 65534 --clear-groups "$TOPICFS" mount "$scratch/locked" "$mnt"
    grep -q "$scratch/locked" "$scratch/err" || fail "the data directory is not named: $(cat "$scratch/err")"
fi
is_not_mounted || fail "a refused mount is there all the same"

say "a mount answers when the command returns, and shows its data directory"
exec 9>"$scratch/held"
start_mount
t mkdir "$mnt/orders"
tsh 'echo one >> "$mnt/orders/0"'
expect_equal one "$(t cat "$mnt/orders/0")" content
grep -qF " - fuse.topicfs $data " /proc/self/mountinfo || fail "the mount table does not show the data directory"
grep -E "^[0-9 :]+ [^ ]+ $mnt " /proc/self/mountinfo | grep nosuid | grep -q nodev || fail "not nosuid and nodev"
grep -q "is mounted at $mnt" "$log" || fail "the log does not say so"
expect_equal / "$(readlink "/proc/$daemon/cwd")" "the daemon's directory"
expect_equal /dev/null "$(readlink "/proc/$daemon/fd/0")" "the daemon's standard input"
! has_open "$daemon" "$scratch/held" || fail "the daemon keeps what its caller had open"
exec 9>&-

say "a second daemon on the same data, or on the same mount point, is refused"
mkdir "$scratch/second"
refused "$data" "$data" "$scratch/second"
refused "mount point in use: $data" "$scratch/other-data" "$mnt"
[[ ! -e $scratch/other-data ]] || fail "a refused mount has made a data directory"
is_not_mounted "$scratch/second" || fail "a refused mount is there all the same"

say "a newer format is refused"
stop_mount
[[ ! -e $pid_file ]] || fail "the pid file was left behind"
sed -i '1s/ [0-9]*$/ 99/' "$data/store"
python3 - "$data/store" <<'PYTHON'
import re, sys
# The checksum over the changed text: CRC-32C, bit by bit.
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
text = open(sys.argv[1], 'rb').read()
body = text[:text.rindex(b'crc32c = ')]
open(sys.argv[1], 'wb').write(body + b'crc32c = %08x\n' % crc32c(body))
PYTHON
refused "$data" "$data" "$mnt"
grep -qi 'newer\|later' "$scratch/err" || fail "it does not say that the format is newer: $(cat "$scratch/err")"
rm -r "$data"

say "a dead mount is mounted over, and nothing is lost"
start_mount
t mkdir "$mnt/orders"
tsh 'seq 1000 >> "$mnt/orders/0"'
kill_daemon KILL
expect_errno ENOTCONN ls "$mnt"
start_mount
seq 1000 >"$scratch/wanted"
expect_same_file "$scratch/wanted" "$mnt/orders/0"
expect_equal 1 "$(grep -c " $mnt " /proc/self/mountinfo)" "mounts at the mount point"

say "SIGTERM ends the daemon cleanly"
kill_daemon TERM
is_not_mounted || fail "still mounted after SIGTERM"
[[ ! -e $pid_file ]] || fail "the pid file was left behind"
start_mount
expect_same_file "$scratch/wanted" "$mnt/orders/0"

say "SIGTERM with a file open: served for some seconds, then the end"
exec 5<"$mnt/orders/0"
kill -TERM "$daemon"
wait_until 10 is_not_mounted
expect_equal 1 "$(t head -n 1 <&5)" "a line read after SIGTERM"
exec 5<&-
wait_until 20 daemon_is_gone "$daemon"
check_sanitizers

say "read-only mounts refuse appends"
start_mount -o ro,noatime
expect_errno EROFS bash -c "echo no >> $mnt/orders/0"
expect_same_file "$scratch/wanted" "$mnt/orders/0"
stop_mount

say "in the foreground it logs to stderr and ends with a signal"
"$TOPICFS" mount --foreground --pid-file "$pid_file" "$data" "$mnt" 2>"$scratch/foreground.err" &
daemon=$!
daemons+=("$daemon")
wait_until 30 grep -q 'is mounted at' "$scratch/foreground.err"
expect_same_file "$scratch/wanted" "$mnt/orders/0"
kill -TERM "$daemon"
wait "$daemon" || fail "exit status $? after a signal"
is_not_mounted || fail "still mounted"

say "mount points with a space, and by a link"
mkdir "$scratch/a b"
ln -s "a b" "$scratch/link"
t "$TOPICFS" mount --pid-file "$pid_file" "$data" "$scratch/link"
daemons+=("$(<"$pid_file")")
expect_same_file "$scratch/wanted" "$scratch/a b/orders/0"
expect_status 0 "$TOPICFS" umount "$scratch/link"
