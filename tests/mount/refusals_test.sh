#!/bin/bash
# What a partition, a topic and a setting refuse, with which word, and what they let one do.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
export LC_ALL=C

start_mount
t mkdir "$mnt/orders"
tsh 'printf "%s\n" one two three >> "$mnt/orders/0"'
cp "$mnt/orders/0" "$scratch/wanted"
# refuses ERRNO SCRIPT: it fails with that errno, and the partition is what it was.
refuses() {
    expect_errno "$1" env "mnt=$mnt" "scratch=$scratch" bash -c "$2"
    expect_same_file "$scratch/wanted" "$mnt/orders/0"
}
# works SCRIPT: it succeeds, and the partition is what it was.
works() {
    tsh "$1" || fail "status $?: $1"
    expect_same_file "$scratch/wanted" "$mnt/orders/0"
}
content_is() { expect_equal "$1" "$(t cat "$2")" "content of $2"; }

say "attributes of inodes are not to be had, as on many file systems"
if command -v lsattr >/dev/null; then
    for name in orders/0 orders orders/.config/segment.ms; do
        if t lsattr -d "$mnt/$name" >"$scratch/out" 2>"$scratch/err"; then
            fail "lsattr of $name says: $(cat "$scratch/out")"
        fi
        grep -qE 'Inappropriate ioctl|not supported' "$scratch/err" || fail "lsattr of $name: $(cat "$scratch/err")"
    done
else
    say "lsattr is not installed: it is not tried"
fi

say "what was appended stays as it is"
refuses EPERM 'echo new > "$mnt/orders/0"'
refuses EPERM ': > "$mnt/orders/0"'
refuses EPERM 'truncate -s 0 "$mnt/orders/0"'
refuses EPERM 'truncate -s 5 "$mnt/orders/0"'
refuses EPERM 'truncate -s +5 "$mnt/orders/0"'
refuses EPERM 'cp /etc/passwd "$mnt/orders/0"'
refuses EPERM 'tee "$mnt/orders/0" < /etc/passwd'
refuses EPERM 'dd if=/etc/passwd of="$mnt/orders/0"'
refuses EPERM 'dd if=/etc/passwd of="$mnt/orders/0" conv=notrunc'
refuses EPERM 'dd if=/etc/passwd of="$mnt/orders/0" conv=notrunc bs=1 seek=5 count=3'
refuses EPERM 'dd if=/etc/passwd of="$mnt/orders/0" conv=notrunc bs=1 seek=1000 count=3' # would leave a gap
refuses EPERM 'dd if=/etc/passwd of="$mnt/orders/0" conv=notrunc bs=1 seek=15 count=3'
refuses EPERM 'sed -n "1w $mnt/orders/0" /etc/passwd'
refuses EPERM 'printf x 1<>"$mnt/orders/0"'
refuses EPERM 'install /etc/passwd "$mnt/orders/0"'
works 'for how in "-l 100000" "-p -l 4" "-z -l 4" "-c -l 4096"; do
    if fallocate $how "$mnt/orders/0" 2>/dev/null; then exit 1; fi
done'

say "what has a name keeps it"
refuses EPERM 'rm "$mnt/orders/0"'
refuses EPERM 'rm -f "$mnt/orders/0"'
refuses EPERM 'rm -r "$mnt/orders"'
refuses EPERM 'unlink "$mnt/orders/0"'
refuses EPERM 'mv "$mnt/orders/0" "$mnt/orders/1"'
refuses EPERM 'mv "$mnt/orders" "$mnt/other"'
refuses EPERM 'mv "$mnt/orders/0" "$scratch/moved"'
refuses EPERM 'mv -f "$scratch/wanted" "$mnt/orders/0"'
refuses EPERM 'ln "$mnt/orders/0" "$mnt/orders/1"'
refuses EPERM 'ln -s 0 "$mnt/orders/1"'
refuses EPERM 'ln -s orders "$mnt/link"'
refuses EPERM 'mkfifo "$mnt/orders/1"'
refuses EPERM 'mkdir "$mnt/orders/sub"'
refuses EPERM 'mkdir -p "$mnt/orders/sub/sub"'
refuses EPERM 'mkdir "$mnt/orders/1"'
refuses EINVAL 'sed -i s/one/two/ "$mnt/orders/0"'
refuses ENOTEMPTY 'rmdir "$mnt/orders"'
refuses ENOTDIR 'rmdir "$mnt/orders/0"'
refuses EPERM 'echo x > "$mnt/file"'
refuses EPERM 'touch "$mnt/0"'
rm -f "$scratch/moved"

say "names that cannot be"
long=$(printf 'a%.0s' $(seq 249))
for name in 'with space' 'with@sign' 'with+plus' 'with:colon' 'ünder' 'a\b' 'star*'; do
    expect_errno EINVAL mkdir "$mnt/$name"
done
expect_errno ENAMETOOLONG mkdir "$mnt/a$long"
expect_errno ENAMETOOLONG stat "$mnt/a$long"
expect_errno ENAMETOOLONG touch "$mnt/orders/a$long"
expect_errno EEXIST mkdir "$mnt/orders"
for name in .hidden .config .status .trash .groups ...; do
    if LC_ALL=C t mkdir "$mnt/$name" 2>"$scratch/err"; then
        fail "mkdir of $name works"
    fi
    grep -qE 'Invalid argument|File exists|not permitted' "$scratch/err" || fail "$name: $(cat "$scratch/err")"
done
for name in 2 7 100000 4294967296 18446744073709551616 00 01 0x1 1a -1 1.5 name a.log ' 1'; do
    expect_errno EINVAL bash -c 'echo x >> "$1"' x "$mnt/orders/$name"
    expect_errno EINVAL touch "$mnt/orders/$name"
done
expect_equal '0' "$(t ls -A "$mnt/orders" | xargs)" "what is listed"
for name in '0@nonsense' '1@start' '1+follow' .groups/g .groups/g/0 nothing; do
    expect_errno ENOENT cat "$mnt/orders/$name" # also a group is never made by chance
done
expect_errno ENOENT ls "$mnt/nothing"
expect_errno ENOENT bash -c 'echo x >> "$1"' x "$mnt/nothing/0"
for name in "$long" a A.b-c_d 0 all; do
    t mkdir "$mnt/$name"
    tsh 'echo "$1" >> "$mnt/$1/0"' "$name"
    content_is "$name" "$mnt/$name/0"
done

say "what works"
works 'touch "$mnt/orders/0"'
works 'exec 3>>"$mnt/orders/0"'
works 'chmod 600 "$mnt/orders/0"; chmod 750 "$mnt/orders"'
works 'chown 1234:4321 "$mnt/orders/0"; chown 11:22 "$mnt/orders"; chown 33:44 "$mnt"; chmod 755 "$mnt"'
works 'touch -d "2001-02-03 04:05:06.789 UTC" "$mnt/orders/0"'
works 'touch -d "2002-02-03 04:05:06.123 UTC" "$mnt/orders"'
kept() { # what is to be the same after the next start
    t stat -c '%n %a %u %g %s %i %.3Y' "$mnt" "$mnt/orders" "$mnt/orders/0"
}
expect_equal '600 1234 4321 981173106.789' "$(t stat -c '%a %u %g %.3Y' "$mnt/orders/0")" "partition's attributes"
expect_equal '750 11 22 1012709106.123' "$(t stat -c '%a %u %g %.3Y' "$mnt/orders")" "topic's attributes"
before=$(kept)
restart
expect_equal "$before" "$(kept)" "attributes after a restart"
kill_daemon
mount_over
expect_equal "$before" "$(kept)" "attributes after the daemon was killed"
works ':'
tsh 'dd if=/etc/hostname of="$mnt/orders/0" conv=notrunc bs=1 seek=14 status=none' # begins exactly at the log end
cat "$scratch/wanted" /etc/hostname >"$scratch/longer"
expect_same_file "$scratch/longer" "$mnt/orders/0"
[[ $(t stat -c %Y "$mnt/orders/0") -gt 1600000000 ]] || fail "an append does not change the time of modification"
t mkdir "$mnt/empty"
tsh ': > "$mnt/empty/0"; truncate -s 0 "$mnt/empty/0"; echo new > "$mnt/empty/0"'
content_is new "$mnt/empty/0"
refuses_now() { expect_errno EPERM bash -c 'echo again > "$1"' x "$mnt/empty/0"; }
refuses_now
t mkdir "$mnt/short-lived"
t rmdir "$mnt/short-lived"
expect_errno ENOENT stat "$mnt/short-lived"
t mkdir "$mnt/short-lived" "$mnt/second"
tsh 'touch "$mnt/short-lived/1" "$mnt/short-lived/2"; rmdir "$mnt/short-lived"; rmdir "$mnt/second"'
tsh 'mkdir -p "$mnt/short-lived"; echo again >> "$mnt/short-lived/0"; mkdir -p "$mnt/short-lived"'
content_is again "$mnt/short-lived/0"

say "partitions are added in turn"
tsh 'echo b >> "$mnt/orders/1"; touch "$mnt/orders/2"; echo d > "$mnt/orders/3"; cp /etc/hostname "$mnt/orders/4"'
expect_errno EINVAL touch "$mnt/orders/6"
expect_equal '0 1 2 3 4' "$(t ls "$mnt/orders" | xargs)" partitions
tsh 'echo 7 > "$mnt/orders/.config/num.partitions"'
expect_equal '0 1 2 3 4 5 6' "$(t ls "$mnt/orders" | xargs)" partitions
content_is b "$mnt/orders/1"
content_is '' "$mnt/orders/2"
tsh 'echo 3 > "$mnt/.config/num.partitions"; mkdir "$mnt/wide"'
expect_equal '0 1 2' "$(t ls "$mnt/wide" | xargs)" "partitions of a new topic"
tsh 'echo 1 > "$mnt/.config/num.partitions"'

say "settings"
config=$mnt/orders/.config
content_is lz4 "$config/compression.type"
content_is 1048576 "$config/seal.bytes"
content_is '\n' "$config/record.delimiter"
content_is off "$config/flush.messages"
for key in $(t ls "$config"); do
    value=$(t cat "$config/$key")
    [[ -n $value ]] || fail "$key has no value"
    tsh 'echo "$2" > "$1"' "$config/$key" "$value" || fail "$key does not take the value that it has"
    content_is "$value" "$config/$key"
done
bad_value() { # KEY VALUE
    local before
    before=$(t cat "$config/$1")
    expect_errno EINVAL bash -c 'printf "%s\n" "$2" > "$1"' x "$config/$1" "$2"
    content_is "$before" "$config/$1"
    grep -qF -- "$1" "$log" || fail "the log does not say why"
}
bad_value compression.type gzip
bad_value compression.type ''
bad_value compression.lz4.level 99
bad_value compression.zstd.level 0
bad_value seal.bytes 0
bad_value seal.bytes -1
bad_value seal.bytes 1x
bad_value seal.bytes 1h
bad_value seal.bytes 17MiB
bad_value seal.ms 1k
bad_value seal.bytes 999999999999999999999999
bad_value seal.ms soon
bad_value segment.bytes 2147483648
bad_value num.partitions 2
bad_value num.partitions many
bad_value flush.messages 0
bad_value record.delimiter ab
bad_value record.delimiter none # it has records
bad_value seal.ms "$(printf '1%.0s' $(seq 5000))"
expect_errno EINVAL bash -c 'printf "zstd\nlz4\n" | dd bs=64 of="$1" conv=notrunc' x "$config/compression.type"
expect_errno EPERM rm "$config/seal.ms"
expect_errno EPERM mkdir "$config/sub"
expect_errno ENOENT cat "$config/no.such.key"
if tsh 'echo x > "$mnt/orders/.config/no.such.key"' 2>/dev/null; then fail "a setting that is none can be made"; fi
expect_equal '' "$(t ls "$config" | grep -v '\.')" "keys without a dot"
t mkdir "$mnt/settings"
tsh 'cd "$mnt/settings/.config"
    echo zstd > compression.type; echo 5 > compression.zstd.level; printf 65536 > seal.bytes; echo 100 >seal.ms
    echo 100000 | tee segment.bytes >/dev/null; echo 100 >> flush.messages; printf "  1000  \n" > flush.ms'
tsh 'for i in $(seq 30); do seq $((i * 100000)) $((i * 100000 + 20000)) | cat >> "$mnt/settings/0"; done'
cp "$mnt/settings/0" "$scratch/settings"
see_settings() {
    (cd "$mnt/settings/.config" && t cat compression.type compression.zstd.level seal.bytes seal.ms segment.bytes \
        flush.messages flush.ms | xargs)
}
expect_equal 'zstd 5 65536 100 100000 100 1000' "$(see_settings)" settings
expect_equal lz4 "$(t cat "$config/compression.type")" "another topic's codec"
restart
expect_equal 'zstd 5 65536 100 100000 100 1000' "$(see_settings)" "settings after a restart"
segments=("$data"/topics/settings/0/*.log.zst)
[[ ${#segments[@]} -ge 2 ]] || fail "segment.bytes has no effect: ${#segments[@]} segments"
expect_same_file "$scratch/settings" "$mnt/settings/0"
if command -v zstdcat >/dev/null; then
    zstdcat "${segments[@]}" | cmp - "$scratch/settings" 2>"$scratch/err" || grep -q 'EOF on -' "$scratch/err" ||
        fail "zstdcat gives something else: $(cat "$scratch/err")"
    [[ $(zstdcat "${segments[@]}" | wc -c) -gt 1000000 ]] || fail "hardly anything was sealed"
fi
t mkdir "$mnt/bytes"
tsh 'echo none > "$mnt/bytes/.config/record.delimiter"; printf "a\0b" >> "$mnt/bytes/0"'
content_is none "$mnt/bytes/.config/record.delimiter"
tsh 'printf "a\0b" | cmp - "$mnt/bytes/0"'
expect_errno EINVAL bash -c 'echo "\n" > "$1"' x "$mnt/bytes/.config/record.delimiter"

say "figures"
for status in "$mnt/.status" "$mnt/orders/.status" "$mnt/settings/.status" "$mnt/empty/.status"; do
    [[ -n $(t cat "$status") ]] || fail "$status is empty"
    if command -v python3 >/dev/null; then
        t cat "$status" | python3 -m json.tool >/dev/null || fail "$status is no JSON: $(t cat "$status")"
    fi
    expect_errno EPERM bash -c 'echo x > "$1"' x "$status"
    expect_errno EPERM bash -c 'echo x >> "$1"' x "$status"
    expect_errno EPERM rm "$status"
done
content_is again "$mnt/short-lived/0"
expect_same_file "$scratch/longer" "$mnt/orders/0"

say "a mount to read only"
stop_mount
start_mount -o ro
expect_same_file "$scratch/longer" "$mnt/orders/0"
expect_errno EROFS bash -c 'echo x >> "$1"' x "$mnt/orders/0"
expect_errno EROFS mkdir "$mnt/more"
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
