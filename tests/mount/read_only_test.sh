#!/bin/bash
# topicfs mount -o ro: nothing of the store changes, whatever is read there; and what would change it is refused.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
export LC_ALL=C TZ=UTC

# What is in the data directory: names, sizes, times of change, contents.
picture() {
    (
        cd "$data"
        find . -printf '%p %y %m %U:%G %s %T@\n' | sort
        find . -type f -exec sha256sum {} + | sort -k 2
    ) >"$scratch/$1"
}
is_unchanged() {
    picture after
    diff -u "$scratch/before" "$scratch/after" >&2 || fail "the store has changed: $1"
}

start_mount
t mkdir "$mnt/t" "$mnt/t/.groups/g" "$mnt/t/.groups/new" "$mnt/empty"
tsh 'touch "$mnt/t/1" && seq 0 4999 >> "$mnt/t/0" && seq 5000 5999 >> "$mnt/t/1"; seq 6000 6009 >> "$mnt/t/all"'
tsh 'head -c 10000 "$mnt/t/.groups/g/0"' >"$scratch/out"
tsh 'cat "$mnt/t/0"' >"$scratch/wanted"
tsh 'echo 700 > "$mnt/t/.groups/g/1.offset"'

# session: all kinds of reads, and all that is refused.
session() {
    local g=$mnt/t/.groups/g name
    expect_same_file "$scratch/wanted" "$mnt/t/0"
    expect_equal 6010 "$(t cat "$mnt/t/all" | wc -l)"
    expect_equal 6010 "$(t cat "$mnt/t/all@start..end" | wc -l)"
    expect_equal "$(seq 100 109)" "$(t cat "$mnt/t/0@100..110")"
    t cat "$mnt/t/0@-1h" "$mnt/t/0@-7" "$mnt/t/all@-1h" "$mnt/t/all@-5..end" "$mnt/empty/0" "$mnt/empty/all" >"$scratch/out"
    tsh 'cat "$mnt/t/.days"/*/*' >"$scratch/out"
    for name in 0+follow all+follow 0@-1h+follow; do
        timeout 0.5 cat "$mnt/t/$name" >"$scratch/out" || [[ $? -eq 124 ]] || fail "cannot read $name"
        [[ -s $scratch/out ]] || fail "nothing in $name"
    done
    expect_equal 700 "$(t cat "$g/1.offset")"
    expect_equal 0 "$(t cat "$mnt/t/.groups/new/0.offset")"
    t cat "$mnt/.status" "$mnt/t/.status" "$mnt/.config"/* "$mnt/t/.config"/* "$g/.config"/* >"$scratch/out"
    t find "$mnt" "$g" -ls >"$scratch/out"
    t "$TOPICFS" lag "$mnt" >"$scratch/out"
    t "$TOPICFS" tail "$mnt/t" --from -1h >"$scratch/out"
    t "$TOPICFS" reset "$g" --to-datetime today --dry-run >"$scratch/out"
    for name in 0 1 all 0+follow all+follow; do
        expect_errno EROFS cat "$g/$name"
        expect_errno EROFS cat "$mnt/t/.groups/new/$name"
    done
    expect_refusal 2 'mounted read-only' "$TOPICFS" consume "$mnt/t" --group g --until-end -- true
    expect_refusal 2 'mounted read-only' "$TOPICFS" consume "$mnt/t/0" --group another --until-end -- true
    expect_refusal 2 'mounted read-only' "$TOPICFS" consume "$mnt/t" --group g --dead-letter dead -- true
    expect_refusal 2 'Read-only file system' "$TOPICFS" reset "$g" --to-earliest
    expect_errno EROFS bash -c 'echo 5 > "$1/0.offset"' bash "$g"
    expect_errno EROFS bash -c 'echo x >> "$1/0"' bash "$mnt/t"
    expect_errno EROFS bash -c 'echo zstd > "$1"' bash "$mnt/t/.config/compression.type"
    expect_errno EROFS mkdir "$mnt/t/.groups/more"
    expect_errno EROFS rmdir "$g"
    expect_errno EROFS chmod 700 "$mnt/t"
}

say "what a daemon that died has left, with records that are in no segment yet"
kill_daemon
picture before
mount_over -o ro
committed=$(t cat "$mnt/t/.groups/g/0.offset")
[[ $committed -gt 0 ]] || fail "nothing was committed before"
session
expect_equal "$committed" "$(t cat "$mnt/t/.groups/g/0.offset")"
is_unchanged "while it was mounted"
# One daemon a store.
mkdir "$scratch/other"
for options in rw ro; do
    expect_refusal 2 'another topicfs has this store open' \
        "$TOPICFS" mount -o "$options" --pid-file "$scratch/other.pid" "$data" "$scratch/other"
done
stop_mount
is_unchanged "by the end of the mount"

say "a store that was closed"
start_mount
expect_same_file "$scratch/wanted" "$mnt/t/0"
stop_mount
picture before
start_mount -o ro
session
stop_mount
is_unchanged "by a mount of what was closed"
expect_status 0 "$TOPICFS" verify "$data"

say "there is nothing that could be made"
expect_refusal 2 'there is no store|No such file' "$TOPICFS" mount -o ro "$scratch/none" "$mnt"
[[ ! -e $scratch/none ]] || fail "a data directory was made"

say "afterwards it goes on where it was"
start_mount
expect_equal "$committed" "$(t cat "$mnt/t/.groups/g/0.offset")"
tsh 'echo more >> "$mnt/t/0"'
expect_equal more "$(t tail -n 1 "$mnt/t/0")"
stop_mount
