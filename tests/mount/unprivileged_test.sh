#!/bin/bash
# Mounting without root, through fusermount3.

# A device that is closed to users, as in some containers, is opened to them in a mount namespace of this test's own.
if [[ $EUID -eq 0 && -c /dev/fuse && $(stat -c %a /dev/fuse) != *6 && -z ${own_namespace:-} ]]; then
    # shellcheck disable=SC2016  # the inner bash expands it
    own_namespace=yes exec unshare --mount --propagation private bash -c '
        mount -t tmpfs -o mode=755 none /mnt && mknod -m 666 /mnt/fuse c 10 229 &&
            mount --bind /mnt/fuse /dev/fuse && umount -l /mnt || echo "/dev/fuse stays closed to users"
        exec bash "$0"' "$0"
fi
source "$(dirname "$0")/lib.sh"
need_fuse
need fusermount3

if [[ $EUID -eq 0 ]]; then
    need setpriv
    as_user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    chown -R 65534:65534 "$scratch"
else
    as_user=(env)
fi
[[ -u $(command -v fusermount3) || $EUID -ne 0 ]] || skip "fusermount3 is not setuid root here"
"${as_user[@]}" test -w /dev/fuse || skip "users may not open /dev/fuse here"
"${as_user[@]}" test -x "$TOPICFS" || skip "the program's folder is closed to other users"
chmod 755 "$scratch"

say "a user mounts, uses, and unmounts"
user() { "${as_user[@]}" timeout --kill-after=5 "$seconds_max" "$@"; }
user "$TOPICFS" mount --pid-file "$pid_file" --log-file "$log" "$data" "$mnt"
daemon=$(<"$pid_file")
daemons+=("$daemon")
grep -qF " - fuse.topicfs $data " /proc/self/mountinfo || fail "the mount table does not show the data directory"
user mkdir "$mnt/orders"
user bash -c "seq 1000 >> $mnt/orders/0"
expect_equal 1000 "$(user tail -n 1 "$mnt/orders/0")" "the last line"

say "appends go through the daemon, which says so once, and why"
expect_equal 1 "$(grep -c 'appends go through the daemon: ' "$log")" "lines in the log about the way of appends"
if grep -q 'Linux 6.9 and later' "$log"; then
    say "this kernel has no passthrough for anybody"
else
    grep -q 'appends go through the daemon: it takes root' "$log" || fail "the log does not say why"
fi
user cat "$mnt/.status" >"$scratch/status"
grep -q '"write_path": *"daemon"' "$scratch/status" || fail ".status does not say which way: $(cat "$scratch/status")"
grep -q '"no_passthrough_because"' "$scratch/status" || fail ".status does not say why: $(cat "$scratch/status")"
grep -q '"WRITE":[1-9]' "$scratch/status" || fail "no WRITE request has come: $(cat "$scratch/status")"
user bash -c "echo passthrough > $mnt/orders/.config/write.path; echo 1001 >> $mnt/orders/0"
expect_equal 1001 "$(user tail -n 1 "$mnt/orders/0")" "the last line"

say "allow_other needs a line in /etc/fuse.conf"
if ! grep -qx 'user_allow_other' /etc/fuse.conf 2>/dev/null; then
    mkdir "$scratch/second"
    [[ $EUID -ne 0 ]] || chown 65534:65534 "$scratch/second"
    status=0
    user "$TOPICFS" mount -o allow_other "$scratch/data2" "$scratch/second" 2>"$scratch/err" || status=$?
    expect_equal 2 "$status" "exit status"
    grep -q user_allow_other "$scratch/err" || fail "stderr: $(cat "$scratch/err")"
    if [[ $EUID -eq 0 ]]; then
        grep -q 'only you can use this mount' "$log" || fail "the log does not say that others cannot use it"
    fi
fi

say "in use, and then not"
"${as_user[@]}" tail -f "$mnt/orders/0" >/dev/null &
reader=$!
wait_until 10 has_open "$reader" "$mnt/orders/0"
in_use() {
    status=0
    user "$TOPICFS" umount "$mnt" 2>"$scratch/err" || status=$?
    [[ $status -eq 1 ]]
}
in_use || fail "exit status $status: $(cat "$scratch/err")"
kill "$reader"
wait "$reader" 2>/dev/null || true
user "$TOPICFS" umount "$mnt"
wait_until 30 daemon_is_gone "$daemon"

say "a dead mount is mounted over"
user "$TOPICFS" mount --pid-file "$pid_file" "$data" "$mnt"
daemon=$(<"$pid_file")
daemons+=("$daemon")
kill_daemon KILL
user "$TOPICFS" mount --pid-file "$pid_file" --log-file "$log" "$data" "$mnt" 2>/dev/null
daemon=$(<"$pid_file")
daemons+=("$daemon")
expect_equal 1001 "$(user tail -n 1 "$mnt/orders/0")" "the last line"

say "SIGTERM takes the mount away"
kill_daemon TERM
is_not_mounted || fail "still mounted"
