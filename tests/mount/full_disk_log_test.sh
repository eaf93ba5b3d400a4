#!/bin/bash
# While the disk is full the same thing fails again and again: the log says so once, and once that it is over.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root

lines() { grep -cE -- "$1" "$log" || true; }
some_lines() { [[ $(lines "$2") -ge $1 ]]; }

say "sealing that finds no room is one line, however often it is tried"
mkdir "$data"
t mount -t tmpfs -o size=4m topicfs-test "$data"
start_mount
tsh 'echo 0 > "$mnt/.config/disk.free.min"' # the disk itself is to be full
tsh 'mkdir "$mnt/orders"; echo 1000000 > "$mnt/orders/.config/seal.ms"; seq 1000 >> "$mnt/orders/0"'
t dd if=/dev/zero of="$data/ballast" bs=4096 status=none 2>/dev/null || true
tsh 'echo 1 > "$mnt/orders/.config/seal.ms"' # settings have a reserve
tsh 'echo one more >> "$mnt/orders/0"' || true
wait_until 30 some_lines 2 ' debug .*No space left on device.*\(again\)'
expect_equal 1 "$(lines ' (error|warning) topics/orders/0.*No space left on device')" "lines that say it"

say "so is its end"
rm "$data/ballast"
wait_until 30 some_lines 1 ' info topics/orders/0: sealing succeeds again, after [0-9]* failures$'
expect_equal 1 "$(lines 'succeeds again')" "lines that say that it is over"
stop_mount
t umount "$data"
