#!/bin/bash
# The tools that people append and read logs with. Whatever they do to a partition they do to a plain file too, and both
# must come out the same.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
export LC_ALL=C

# log_lines COUNT: a web server's log, of as many lines.
log_lines() {
    awk -v count="$1" 'BEGIN {
        srand(7); split("GET POST PUT DELETE", verb); split("200 200 200 304 404 500", code)
        for (i = 1; i <= count; ++i)
            printf "10.%d.%d.%d - - [21/Nov/2026:%02d:%02d:%02d +0000] \"%s /item/%d?session=%08x HTTP/1.1\" %d %d\n",
                rand() * 256, rand() * 256, rand() * 256, i / 3600 % 24, i / 60 % 60, i % 60, verb[int(rand() * 4) + 1],
                rand() * 5000, rand() * 2147483647, code[int(rand() * 6) + 1], rand() * 100000
    }'
}
log_lines 6000 >"$scratch/log"

plain=$scratch/plain
live=$mnt/web/0
# both SCRIPT: runs it with $file as the plain file, and as the partition.
both() {
    file=$plain tsh 'file='"$plain"'; '"$1"
    tsh 'file='"$live"'; '"$1"
    expect_equal "$(stat -c %s "$plain")" "$(t stat -c %s "$live")" "size after: $1"
}
# alike SCRIPT: what it prints is the same for both, and so is its exit status.
alike() {
    local wanted=0 is=0
    t bash -c 'file='"$plain"'; '"$1" >"$scratch/wanted" 2>&1 || wanted=$?
    t bash -c 'file='"$live"'; '"$1" >"$scratch/is" 2>&1 || is=$?
    [[ $wanted -eq $is ]] && cmp -s "$scratch/wanted" "$scratch/is" ||
        fail "not as with a plain file (status $wanted, here $is): $1: $(cmp "$scratch/wanted" "$scratch/is" 2>&1 || true)"
}
optionally() {
    if command -v "$1" >/dev/null; then
        alike "$2"
    else
        say "$1 is not installed: not tried"
    fi
}
same_size() { [[ $(stat -c %s "$1") -eq $(stat -c %s "$2") ]]; }

start_mount
t mkdir "$mnt/web"
# Small batches, so that reads cross from segments into head.
tsh 'echo 65536 > "$mnt/web/.config/seal.bytes"; echo 300 > "$mnt/web/.config/seal.ms"'
: >"$plain"

say "ways to append"
both 'echo hello >> "$file"'
both 'printf "no newline" >> "$file"'
both 'printf "\n" >> "$file"'
both 'printf "%s\n" one two three | tee -a "$file" >/dev/null'
both 'cat "$scratch/log" >> "$file"'
both 'cat >> "$file" < "$scratch/log"'
both 'seq 3000 >> "$file"'
both '{ echo a; echo b >&2; } >> "$file" 2>&1'
both 'for i in $(seq 50); do echo "$i" >> "$file"; done'
both 'exec 3>>"$file"; echo through >&3; seq 10 >&3; echo a descriptor >&3'
both 'head -c 100000 "$scratch/log" | sed -u "s/GET/get/" >> "$file"'
both 'awk -v to="$file" "{ print >> to }" "$scratch/log"'
for size in 1 7 511 4095 4096 4097 65536 1044480 1M 1048577 3M; do
    bytes=1200000
    if [[ ${#size} -eq 1 ]]; then bytes=500; fi
    both "head -c $bytes \$scratch/log | dd of=\$file oflag=append conv=notrunc bs=$size iflag=fullblock status=none"
done
both 'dd if="$scratch/log" of="$file" oflag=append conv=notrunc,fsync bs=128K status=none'
both 'dd if="$scratch/log" of="$file" oflag=append,dsync conv=notrunc bs=512K status=none'
both 'dd if=/dev/zero of="$file" oflag=append conv=notrunc bs=5000 count=3 status=none' # NULs are bytes like others
both 'tac "$scratch/log" >> "$file"'
both 'sync "$file"'
if command -v python3 >/dev/null; then
    both 'python3 -c "
import sys, os
with open(sys.argv[1], \"a\") as f:
    for i in range(2000): print(\"line\", i, file=f)
with open(sys.argv[1], \"ab\", buffering=0) as f:
    f.write(b\"x\" * 2500000 + b\"\\n\")
fd = os.open(sys.argv[1], os.O_RDWR | os.O_APPEND)
os.writev(fd, [b\"many \", b\"parts\", b\"\\n\"])
os.fsync(fd)
assert os.pread(fd, 6, os.fstat(fd).st_size - 6) == b\"parts\\n\"
" "$file"'
fi
expect_same_file "$plain" "$live"

say "ways to read, while part of it is being sealed and after"
read_it() {
    alike 'cat "$file"'
    alike 'cat < "$file"'
    alike 'cat "$file" "$file" | md5sum'
    alike 'head -n 3 "$file"'
    alike 'head -c 1000000 "$file"'
    alike 'head -n -20 "$file"'
    alike 'tail "$file"'
    alike 'tail -n 3000 "$file"'
    alike 'tail -n +30000 "$file"'
    alike 'tail -c 100000 "$file"'
    alike 'tail -c +2000001 "$file"'
    alike 'wc -c < "$file"'
    alike 'wc < "$file"'
    alike 'wc -l < "$file"'
    alike 'grep -ac item/42 "$file"'
    alike 'grep -a "session=00" "$file"'
    alike 'grep -c item/42 "$file"'
    alike 'grep -abo POST "$file" | tail'
    alike 'sed -n "1000,1010p;20000p" "$file"'
    alike 'sed -n "\$p" "$file"'
    alike 'awk "{ n += NF } END { print NR, n }" "$file"'
    alike 'sort -u "$file"'
    alike 'cut -d " " -f 1 "$file" | sort | uniq -c | tail -n 100'
    alike 'tac "$file"'
    alike 'dd if="$file" bs=1000 skip=1234 count=77 status=none'
    alike 'dd if="$file" bs=3M status=none'
    alike 'dd if="$file" bs=1 skip=3000000 count=100 status=none'
    alike 'dd if="$file" bs=64K iflag=direct status=none'
    alike 'od -A d -c "$file" | tail -n 50'
    alike 'sha256sum < "$file"'
    alike 'split -n 7/9 "$file"'
    alike 'stat -c "%s %F" "$file"'
    alike 'gzip -c < "$file" | gzip -dc'
    alike 'lz4 -c < "$file" | lz4 -dc | cksum'
    alike 'while read -r line; do echo "$line"; done < <(head -n 300 "$file")'
    alike 'cmp "$file" '"$plain"
    alike 'diff -q "$file" '"$plain"
    optionally rg 'rg -c item/42 "$file"'
    optionally rg 'rg -a --mmap session=00 "$file"'
    optionally rg 'rg -a --no-mmap session=00 "$file"'
    optionally busybox 'busybox cat "$file"'
    optionally busybox 'busybox tail -n 100 "$file"'
    optionally busybox 'busybox grep -c GET "$file"'
    optionally pv 'pv -q "$file"'
    optionally perl 'perl -ne "print if /item.77/" "$file"'
    optionally python3 'python3 -c "
import mmap, sys, hashlib
with open(sys.argv[1], \"rb\") as f:
    m = mmap.mmap(f.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    print(hashlib.md5(m).hexdigest(), m.find(b\"item/99\"))
" "$file"'
    optionally python3 'python3 -c "
import os, sys
size = os.stat(sys.argv[1]).st_size
source = os.open(sys.argv[1], os.O_RDONLY)
at = 0
while at < size:
    at += os.sendfile(1, source, at, size - at)
" "$file" | cat'
}
read_it
restart
read_it

say "a writable shared mapping is refused, a private one works"
if command -v python3 >/dev/null; then
    expect_errno ENODEV python3 -c 'import mmap, sys
with open(sys.argv[1], "r+b") as f: mmap.mmap(f.fileno(), 0)' "$live"
fi

say "into an empty partition, and out again"
t touch "$mnt/web/1" "$mnt/web/2"
t cp "$scratch/log" "$mnt/web/1"
expect_same_file "$scratch/log" "$mnt/web/1"
tsh 'cat "$scratch/log" > "$mnt/web/2"' # > of an empty one is an append
expect_same_file "$scratch/log" "$mnt/web/2"
t cp "$live" "$scratch/copied"
expect_same_file "$plain" "$scratch/copied"
t cp -a "$live" "$scratch/archived"
expect_same_file "$plain" "$scratch/archived"
expect_equal "$(t stat -c '%a %u %g %Y' "$live")" "$(stat -c '%a %u %g %Y' "$scratch/archived")" "what cp -a keeps"
t cp -r "$mnt/web" "$scratch/tree"
expect_equal '0 1 2' "$(cd "$scratch/tree" && echo *)" "what cp -r copies"
expect_same_file "$plain" "$scratch/tree/0"
t cp -a "$mnt/." "$scratch/all"
expect_same_file "$scratch/log" "$scratch/all/web/2"
expect_equal web "$(ls -A "$scratch/all")" "what is listed"
t tar -C "$mnt" -cf "$scratch/tar" web
tar -xOf "$scratch/tar" web/0 >"$scratch/untarred"
expect_same_file "$plain" "$scratch/untarred"
if command -v rsync >/dev/null; then
    t rsync -a "$mnt/" "$scratch/synced/"
    expect_same_file "$plain" "$scratch/synced/web/0"
    expect_equal '' "$(t rsync -ai "$mnt/" "$scratch/synced/")" "what rsync copies the second time"
    tsh 'echo more >> "$mnt/web/1"'
    expect_equal '>f' "$(t rsync -ai "$mnt/" "$scratch/synced/" | grep web/1 | cut -c 1-2)" "what rsync copies after an append"
    t cmp "$mnt/web/1" "$scratch/synced/web/1"
else
    say "rsync is not installed: not tried"
fi

say "what ls, stat, du and find show"
size=$(stat -c %s "$plain")
expect_equal "$size" "$(t ls -l "$live" | awk '{ print $5 }')" "ls -l"
expect_equal "$size" "$(t du -b "$live" | cut -f 1)" "du -b"
expect_equal "-rw-r--r--" "$(t stat -c %A "$live")" mode
expect_equal "$live" "$(t find "$mnt" -type f -size +1000k -name 0)" find
expect_equal "0 1 2" "$(t ls "$mnt/web" | xargs)" ls
expect_equal "0 1 2" "$(t ls -A "$mnt/web" | xargs)" "ls -A"
compressed() { [[ $(t du --block-size=1 "$live" | cut -f 1) -lt $((size * 7 / 10)) ]]; }
wait_until 40 compressed # once the recovery point allows it, head's copy is given back
expect_equal 3 "$(t find "$mnt/web" -type f | wc -l)" "files found"
expect_equal "$(t stat -c %i "$live")" "$(t find "$live" -printf '%i')" "inode number"
expect_equal "$(grep -c item/42 "$scratch/log")" "$(t grep -rc item/42 "$mnt" | awk -F: '$1 ~ /2$/ { print $2 }')" "grep -r"
expect_equal "$(t stat -f -c %l "$mnt")" 249 "the longest name"

# follow NAME COMMAND...: a follower in the background, its output in $scratch/NAME.
follow() {
    timeout 120 "${@:2}" >"$scratch/$1" 2>"$scratch/$1.err" &
    followers+=("$!")
}
followers=()
say "following"
t mkdir "$mnt/feed"
tsh 'echo 200000 > "$mnt/feed/.config/seal.bytes"; echo 100 > "$mnt/feed/.config/seal.ms"; echo first >> "$mnt/feed/0"'
echo first >"$scratch/fed"
feed() { # SCRIPT: appends what it prints
    tsh "$1" | tee -a "$scratch/fed" | t tee -a "$mnt/feed/0" >/dev/null
}
follow tail_f tail -n +1 -f "$mnt/feed/0"
follow tail_F tail -n +1 -s 0.1 -F "$mnt/feed/0"
follow tail_c tail -c +1 -s 0.05 -f "$mnt/feed/0"
follow tail_grep bash -c 'tail -n +1 -s 0.1 -f "$1" | grep -a --line-buffered ""' tail_grep "$mnt/feed/0"
if command -v busybox >/dev/null; then
    follow tail_busybox busybox tail -n +1 -f "$mnt/feed/0"
fi
all_have_it() {
    local name
    for name in "$scratch"/tail_*[!r]; do
        [[ $name == *.err || $name == *_grep ]] || same_size "$scratch/fed" "$name" || return 1
    done
}
wait_until 20 all_have_it
feed 'echo second'
wait_until 20 all_have_it
feed 'printf "a line in "'
wait_until 20 all_have_it # a line's beginning is read at once
feed 'echo "two parts"'
feed 'cat "$scratch/log" "$scratch/log" "$scratch/log" "$scratch/log"' # a burst of several MiB
wait_until 30 all_have_it
for i in $(seq 20); do
    feed "head -c $((i * 7919)) \$scratch/log"
done
feed 'head -c 5000000 /dev/zero | tr "\0" x; echo; cat "$scratch/log"' # one line of 5 MB
wait_until 30 all_have_it
expect_same_file "$scratch/fed" "$mnt/feed/0"
for name in tail_f tail_F tail_c tail_busybox; do
    [[ ! -e $scratch/$name ]] || expect_same_file "$scratch/fed" "$scratch/$name"
    [[ ! -s $scratch/$name.err ]] || fail "$name: $(cat "$scratch/$name.err")"
done
grep_has_it() { same_size "$scratch/fed" "$scratch/tail_grep"; }
wait_until 20 grep_has_it
expect_same_file "$scratch/fed" "$scratch/tail_grep"
kill "${followers[@]}"
wait "${followers[@]}" 2>/dev/null || true

say "readers beside a writer see no NUL that nobody wrote"
t mkdir "$mnt/busy"
tsh 'echo 30000 > "$mnt/busy/.config/seal.bytes"; echo start >> "$mnt/busy/0"'
tsh 'for i in 1 2 3; do cat "$scratch/log" "$scratch/log" "$scratch/log" | sed -u "s/\$/ $i/" >> "$mnt/busy/0"; done
     for i in $(seq 500); do echo "short line $i" >> "$mnt/busy/0"; done' &
writer=$!
tries=0
nuls() { # READER...: how many NULs it gives, which reads what there is and ends
    t "$@" "$mnt/busy/0" | tr -dc '\0' | wc -c
}
while kill -0 "$writer" 2>/dev/null; do
    expect_equal 0 "$(nuls cat)" "NULs from cat"
    expect_equal 0 "$(nuls tail -c 100000)" "NULs from tail"
    expect_equal 0 "$(nuls grep -a '')" "NULs from grep"
    for splicer in 'busybox cat' 'pv -q'; do
        # shellcheck disable=SC2086  # a command and its option
        ! command -v "${splicer%% *}" >/dev/null || expect_equal 0 "$(nuls $splicer)" "NULs from $splicer"
    done
    if command -v python3 >/dev/null; then
        t python3 - "$mnt/busy/0" <<'PYTHON' || fail "NULs by mmap or sendfile"
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
for turn in range(20):
    size = os.fstat(fd).st_size
    with mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as mapped:
        assert mapped[:size].find(b'\0') < 0, "mmap"
    out, into = os.pipe()
    for at in range(max(0, size - 200000), size, 4096):
        os.sendfile(into, fd, at, 65536)
        assert os.read(out, 65536).find(b'\0') < 0, "sendfile"
    os.close(out), os.close(into)
PYTHON
    fi
    tries=$((tries + 1))
done
wait "$writer"
say "$tries rounds of readers"

say "a page that was read by sendfile or splice while it was not full is read anew"
t mkdir "$mnt/pages"
splicers=()
for tool in 'busybox cat' 'pv -q'; do
    if command -v "${tool%% *}" >/dev/null; then splicers+=("$tool"); else say "${tool%% *} is not installed: not tried"; fi
done
for i in $(seq 40); do
    tsh 'printf "%0*d\n" $(($1 * 37 % 300 + 1)) "$1" | tee -a "$scratch/pages" >> "$mnt/pages/0"' "$i"
    for tool in "${splicers[@]}"; do
        # shellcheck disable=SC2086  # a command and its option
        t $tool "$mnt/pages/0" | cmp - "$scratch/pages"
    done
done
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
