#!/bin/bash
# A small disk that gets full: by the store itself, by others, or up to store.bytes.max and disk.free.min. Appends say
# ENOSPC, the store's own books go on, and when there is room again so do the appends, of who has the file open too.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3 fallocate mkfs.ext4

# small_disk SIZE [xfs]: at $data.
small_disk() {
    mkdir -p "$data"
    rm -f "$scratch/image"
    truncate -s "$1" "$scratch/image"
    if [[ ${2-} == xfs ]]; then
        t mkfs.xfs -q "$scratch/image"
    else
        t mkfs.ext4 -q -m 0 -E lazy_itable_init=0 "$scratch/image"
    fi
    t mount -o loop "$scratch/image" "$data" 2>"$scratch/mount.err" ||
        skip "no image can be mounted here: $(cat "$scratch/mount.err")"
}
no_disk() {
    stop_mount
    expect_status 0 "$TOPICFS" verify "$data"
    t umount "$data"
}
set_to() { tsh 'echo "$2" > "$mnt/$1"' "$1" "$2"; }
status() { t python3 -c 'import json, sys; s = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$mnt/$1" "$2"; }
store_bytes() { t du -s -B1 "$data" | cut -f1; }
# A process that has $1 open for appending, and writes down what was taken; tell WORDS...: its answer is $answer.
start_writer() {
    local name=$1
    coproc WRITER { exec timeout --kill-after=5 100 python3 "$tests_directory/filling_writer.py" "$mnt/$name" "$scratch/taken"; }
    writer_in=${WRITER[1]} writer_out=${WRITER[0]} writer=$WRITER_PID
}
tell() {
    echo "$*" >&"$writer_in"
    read -r -t 100 answer <&"$writer_out" || fail "the writer is gone"
}
end_writer() {
    exec {writer_in}>&-
    wait "$writer" || fail "the writer ended with $?"
}
ballast() { t bash -c 'while head -c 65536 /dev/zero; do :; done >>"$1"' bash "$data/ballast" 2>/dev/null || true; }
takes_appends() { tsh 'echo >> "$mnt/$1"' "$1" 2>/dev/null; }

say "a disk that is really full: the writer gets ENOSPC, and the books are kept"
small_disk 48M
start_mount
set_to .config/disk.free.min 0
set_to .config/compression.type none
t mkdir "$mnt/orders" "$mnt/other" "$mnt/old"
set_to orders/.config/seal.bytes 65536
t seq 1000 | t tee -a "$mnt/other/0" >/dev/null
t seq 1000 | t tee -a "$mnt/old/0" >/dev/null
t mkdir "$mnt/cut"
set_to cut/.config/seal.ms 3600000
t seq 600000 | t tee -a "$mnt/cut/0" >/dev/null
t mkdir "$mnt/other/.groups/g"
start_writer orders/0
tell bytes 8000000
ballast
tell fill
expect_equal full "$answer"
ballast
tell fill
expect_equal full "$answer"
expect_same_file "$scratch/taken" "$mnt/orders/0"
# More often than there is reserve.
for ((i = 0; i < 20; ++i)); do
    set_to orders/.config/retention.ms "$((3600000 + i))"
    t chmod "70$((i % 8))" "$mnt/orders"
    set_to .config/trash.retention.ms "$((86400000 + i))"
done
expect_equal 3600019 "$(t cat "$mnt/orders/.config/retention.ms")"
t head -c 3893 "$mnt/other/.groups/g/0" >"$scratch/read"
expect_equal 3893 "$(stat -c %s "$scratch/read")" "what the group has read"
t cat "$mnt/other/.groups/g/0" >/dev/null
expect_equal 0 "$(status other/.status "s['groups'][0]['lag']")" "the group's lag"
expect_status 0 "$TOPICFS" delete "$mnt/old"
expect_status 0 "$TOPICFS" trim "$mnt/orders/0" --to 1000
expect_equal '000001000' "$(t head -c 9 "$mnt/orders/0")" "the first record after the trim"
# What is not sealed too, which takes room.
(($(status cut/.status "s['partitions'][0]['seal_lag_bytes']") > 0)) || fail "all is sealed"
ballast
expect_status 0 "$TOPICFS" trim "$mnt/cut/0" --to end
expect_equal 0 "$(t stat -c %s "$mnt/cut/0")" "what is left after the trim to the end"

say "it is killed and mounted again on the full disk; nothing is lost"
kill_daemon
end_writer
mount_over
expect_equal 3600019 "$(t cat "$mnt/orders/.config/retention.ms")"
expect_equal 703 "$(t stat -c %a "$mnt/orders")"
expect_equal 0 "$(status other/.status "s['groups'][0]['lag']")" "the group's lag"
tail -n +1001 "$scratch/taken" | t cmp - "$mnt/orders/0" || fail "what is there is not what was taken"

say "with room again whoever has it open goes on, without a restart"
start_writer orders/0
ballast
tell fill
expect_equal full "$answer"
t rm "$data/ballast"
tell bytes 2000000
expect_equal "done" "$answer"
t tail -c "$(stat -c %s "$scratch/taken")" "$mnt/orders/0" | t cmp - "$scratch/taken" || fail "what came then is not there"
end_writer
t test ! -e "$mnt/old" || fail "what was removed on the full disk is back"
no_disk

say "disk.free.min: with less than that new opens for writing are ENOSPC, readers go on"
small_disk 48M
start_mount
set_to .config/disk.free.min 8MiB
t mkdir "$mnt/orders"
t seq 1000 | t tee -a "$mnt/orders/0" >/dev/null
t fallocate -l "$(($(t stat -f -c '%a*%S' "$data") - (7 << 20)))" "$data/ballast"
for refused in 'echo >> "$1/orders/0"' 'echo >> "$1/orders/all"' 'exec 3<>"$1/orders/0"' 'touch "$1/orders/1"' \
    'mkdir "$1/more"' 'echo 2 > "$1/orders/.config/num.partitions"'; do
    expect_errno ENOSPC bash -c "$refused" bash "$mnt"
done
expect_equal 1000 "$(t wc -l <"$mnt/orders/0")"
expect_equal True "$(status .status "s['full']")"
t rm "$data/ballast"
wait_until 10 takes_appends orders/0
tsh 'echo >> "$mnt/orders/all"'
t mkdir "$mnt/more"
is_not_full() { [[ $(status .status "s['full']") == False ]]; }
wait_until 10 is_not_full

say "store.bytes.max: nothing is appended beyond it, and what is trimmed makes room"
set_to .config/store.bytes.max 12MiB
set_to .config/compression.type none
set_to .config/file.delete.delay.ms 10
t mkdir "$mnt/bounded"
start_writer bounded/0
tell fill
expect_equal full "$answer"
((8 << 20 < $(store_bytes) && $(store_bytes) <= 12 << 20)) || fail "the store takes $(store_bytes) bytes"
expect_same_file "$scratch/taken" "$mnt/bounded/0"
is_sealed() { (($(status bounded/.status "s['partitions'][0]['seal_lag_bytes']") < 1 << 20)); }
wait_until 30 is_sealed
expect_status 0 "$TOPICFS" trim "$mnt/bounded/0" --to 200000
goes_on() {
    tell bytes 100000
    [[ $answer == "done" ]]
}
wait_until 30 goes_on
t tail -c 100000 "$mnt/bounded/0" | t cmp - <(tail -c 100000 "$scratch/taken") || fail "what came then is not there"
end_writer

say "disk.pressure=delete: the trash goes, then the oldest, and no append is refused"
set_to .config/disk.pressure delete
expect_status 0 "$TOPICFS" delete "$mnt/bounded"
set_to .config/seal.ms 200
t mkdir "$mnt/kept" "$mnt/second"
is_purged() { [[ $(t ls -A "$mnt/.trash") == "" ]]; }
# The most that the store takes, until there is a file $scratch/enough. du does not see all files at one time.
watch_store() {
    local most=0 now
    while [[ -d $scratch && ! -e $scratch/enough ]]; do
        now=$(store_bytes 2>/dev/null)
        ((most = now > most ? now : most))
    done
    echo "$most" >"$scratch/most"
}
watch_store &
watcher=$!
for topic in kept second; do
    start_writer "$topic/0"
    for bytes in 3000000 3000000 30000000; do
        tell bytes "$bytes"
        expect_equal "done" "$answer" "$bytes more"
    done
    end_writer
    first=$(t head -n 1 "$mnt/$topic/0" | cut -d' ' -f1)
    tail -n +"$((10#$first + 1))" "$scratch/taken" | t cmp - "$mnt/$topic/0" || fail "$topic: not the end of what was taken"
done
touch "$scratch/enough"
wait "$watcher"
most=$(<"$scratch/most")
((8 << 20 < most && most <= (12 << 20) + (256 << 10))) || fail "the store took $most bytes"
wait_until 10 is_purged
is_small() { (($(store_bytes) <= 12 << 20)); }
wait_until 20 is_small
# What is left is the newest of all, and not less than has to be.
((8 << 20 < $(store_bytes))) || fail "the store takes $(store_bytes) bytes only"
expect_equal 0 "$(t wc -c <"$mnt/kept/0")" "what is left of the older topic"
no_disk

say "so it is for who has the file open from before the bound was set"
small_disk 256M
start_mount
set_to .config/compression.type none
t mkdir "$mnt/orders"
start_writer orders/0
set_to .config/disk.pressure delete
set_to .config/store.bytes.max 12MiB
tell bytes 150000000
expect_equal "done" "$answer"
wait_until 30 is_small
((8 << 20 < $(store_bytes))) || fail "the store takes $(store_bytes) bytes only"
first=$(t head -n 1 "$mnt/orders/0" | cut -d' ' -f1)
tail -n +"$((10#$first + 1))" "$scratch/taken" | t cmp - "$mnt/orders/0" || fail "it is not the end of what was taken"
end_writer
no_disk

# All of $1 is in $scratch/read, and nothing of it has gone meanwhile: what was sealed last can still need room.
read_at_rest() {
    local first
    first=$(t stat -c %s "$mnt/$1")
    t cat "$mnt/$1" >"$scratch/read" 2>/dev/null && [[ $(t stat -c %s "$mnt/$1") == "$first" ]]
}
# Within 1 %.
agrees_with_du() {
    local shown used
    shown=$(status .status "s['disk_bytes']")
    used=$(store_bytes)
    ((shown <= used + used / 100 && used <= shown + shown / 100))
}
# Faster than the disk: making room has to keep up, and what sealing takes for itself is part of it.
head -c 300000000 /dev/urandom | base64 >"$scratch/text"
for disk in "96M ext4" "320M xfs"; do
    read -r size type <<<"$disk"
    say "disk.pressure=delete on a small $type: an append as fast as can be is never refused, and what is left is its end"
    if ! command -v "mkfs.$type" >/dev/null; then
        echo "skipped: there is no mkfs.$type"
        continue
    fi
    small_disk "$size" "$type"
    start_mount
    set_to .config/disk.free.min 0
    set_to .config/disk.pressure delete
    t mkdir "$mnt/fast"
    expect_status 0 dd if="$scratch/text" of="$mnt/fast/0" bs=64k oflag=append conv=notrunc status=none
    wait_until 20 read_at_rest fast/0
    left=$(stat -c %s "$scratch/read")
    ((16 << 20 < left)) || fail "$left bytes are left only"
    tail -c "$left" "$scratch/text" | cmp - "$scratch/read" || fail "it is not the end of what was appended"
    # XFS takes back what it keeps behind the ends of files when others fill the disk.
    set_to .config/disk.pressure refuse
    ballast
    wait_until 10 agrees_with_du
    no_disk
done
