#!/bin/bash
# T/all: lines appended by ordinary tools and by many writers whose buffers cut them, and the merged reading.
#
#   LINES   of each of the eight writers (default 20000)      SEED   of their lengths and keys (default: printed)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3 setpriv
export LC_ALL=C
chmod 755 "$scratch"
lines=${LINES:-20000}
seed=${SEED:-$RANDOM}
say "$lines lines a writer; SEED=$seed"
all_lines="$tests_directory/all_lines.py"

bytes_of() { t stat -c %s "$@" | awk '{ sum += $1 } END { print sum }'; }
# all_is_settled TOPIC: all that is in the partitions can be read in `all`.
all_is_settled() { [[ $(bytes_of "$mnt/$1/all") -eq $(bytes_of "$mnt/$1"/[0-9]*) ]]; }
# all_is TOPIC TEXT
all_is() {
    wait_until 20 all_is_settled "$1"
    printf "$2" >"$scratch/expected"
    expect_same_file "$scratch/expected" "$mnt/$1/all"
}
# all_has TOPIC TEXT: these lines, in whatever order.
all_has() {
    wait_until 20 all_is_settled "$1"
    expect_equal "$(printf "$2" | sort)" "$(t sort "$mnt/$1/all")" "lines of $1/all"
}
unfinished() { find "$data/topics/$1/unfinished" -type f 2>/dev/null | wc -l; }
nothing_is_unfinished() { [[ $(unfinished "$1") -eq 0 ]]; }
make_topic() { # NAME PARTITIONS
    tsh 'echo "$2" > "$mnt/.config/num.partitions"; mkdir "$mnt/$1"; echo 1 > "$mnt/.config/num.partitions"' "$@"
}

start_mount
make_topic t 3

say "lines by ordinary tools"
tsh 'echo "one" >> "$mnt/t/all"'
all_is t 'one\n'
tsh 'printf "%s\n" two three | tee -a "$mnt/t/all" >/dev/null; printf "four\n" | dd of="$mnt/t/all" oflag=append conv=notrunc status=none'
tsh 'exec >> "$mnt/t/all"; echo five; echo six'
tsh 'seq -f "line %.0f of a program that buffers" 20000 >> "$mnt/t/all"'
{
    printf '%s\n' one two three four five six
    seq -f "line %.0f of a program that buffers" 20000
} >"$scratch/expected"
wait_until 20 all_is_settled t
t sort "$mnt/t/all" | cmp - <(sort "$scratch/expected") || fail "all has other lines than were appended"
t grep buffers "$mnt/t/all" | cmp - <(grep buffers "$scratch/expected") || fail "one writer's lines are not in order"
t ls -A "$mnt/t" >"$scratch/listed"
expect_equal '0 1 2' "$(paste -sd ' ' "$scratch/listed")" "the listing"

say "the last line's delimiter is added when the last descriptor is closed, and only then"
make_topic ends 3
tsh 'printf half >> "$mnt/ends/all"'
wait_until 20 nothing_is_unfinished ends
all_is ends 'half\n'
t python3 - "$mnt/ends/all" <<'P1' || fail "descriptors: $?"
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
os.write(fd, b"a line by ")
other = os.dup(fd)
os.close(fd)
os.write(other, b"many ")
if os.fork() == 0:
    os.write(other, b"hands")
    os._exit(0)  # closes
os.wait()
os.write(other, b", cut\nand th")
if os.fork() == 0:
    # The last one to have it.
    os.write(other, b"e end")
    os._exit(0)
os.close(other)
os.wait()
P1
wait_until 20 nothing_is_unfinished ends
all_has ends 'half\na line by many hands, cut\nand the end\n'
tsh ': >> "$mnt/ends/all"'
tsh 'exec 5>> "$mnt/ends/all"; printf kept >&5; [[ $(cat "$mnt/ends/all" | wc -l) -eq 3 ]]; sync "$mnt/ends/all"; printf " and ended\n" >&5
    exec 5>&-'
all_has ends 'half\na line by many hands, cut\nand the end\nkept and ended\n'
tsh 'exec 5>> "$mnt/ends/all" 6>> "$mnt/ends/all"; printf 5 >&5; printf 6 >&6; printf 5 >&5; printf 6 >&6; exec 5>&- 6>&-'
wait_until 20 nothing_is_unfinished ends
all_has ends 'half\na line by many hands, cut\nand the end\nkept and ended\n55\n66\n'

say "fsync, and writes that are to be durable"
t python3 - "$mnt/ends/all" <<'P1' || fail "durable writes: $?"
import os, sys
for flags in 0, os.O_DSYNC, os.O_SYNC:
    fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | flags)
    os.write(fd, b"durable\nunfin")
    os.fsync(fd)
    os.fdatasync(fd)
    os.write(fd, b"ished\n")
    os.fsync(fd)
    os.close(fd)
P1
wait_until 20 all_is_settled ends
expect_equal 3 "$(t grep -c '^durable$' "$mnt/ends/all")" "synced lines"
expect_equal 3 "$(t grep -c '^unfinished$' "$mnt/ends/all")" "synced lines that were cut"

say "followers"
make_topic f 2
timeout 100 cat "$mnt/f/all+follow" >"$scratch/follow" &
follower=$!
timeout 100 tail -c +1 -s 0.02 -f "$mnt/f/all" >"$scratch/tail" 2>/dev/null &
tailer=$!
tsh 'for i in $(seq 200); do echo "followed $i" >> "$mnt/f/all"; done; printf "no delimiter" >> "$mnt/f/all"'
both_have() { [[ $(wc -l <"$scratch/follow") -eq $1 && $(wc -l <"$scratch/tail") -eq $1 ]]; }
wait_until 30 both_have 201
t cmp "$scratch/follow" "$mnt/f/all"
t cmp "$scratch/tail" "$mnt/f/all"
kill "$follower" "$tailer"
wait "$follower" "$tailer" || true

say "what all refuses"
wait_until 20 all_is_settled f
t cp "$mnt/f/all" "$scratch/wanted"
# refuses ERRNO SCRIPT: it fails with that errno, and all is what it was.
refuses() {
    expect_errno "$1" env "mnt=$mnt" "scratch=$scratch" bash -c "$2"
    wait_until 20 all_is_settled f
    expect_same_file "$scratch/wanted" "$mnt/f/all"
}
refuses EPERM 'echo new > "$mnt/f/all"'
refuses EPERM ': > "$mnt/f/all"'
refuses EPERM 'truncate -s 0 "$mnt/f/all"'
refuses EPERM 'truncate -s 5 "$mnt/f/all"'
refuses EPERM 'truncate -s +5 "$mnt/f/all"'
refuses EPERM 'cp /etc/passwd "$mnt/f/all"'
refuses EPERM 'dd if=/etc/passwd of="$mnt/f/all" conv=notrunc'
refuses EPERM 'dd if=/etc/passwd of="$mnt/f/all" conv=notrunc bs=1 seek=5 count=3'
refuses EPERM 'dd if=/etc/passwd of="$mnt/f/all" conv=notrunc bs=1 seek=1000000 count=3'
refuses EPERM 'rm "$mnt/f/all"'
refuses EPERM 'mv "$mnt/f/all" "$mnt/f/2"'
refuses EPERM 'mv "$mnt/f/0" "$mnt/f/all"'
refuses EPERM 'ln "$mnt/f/all" "$mnt/f/2"'
refuses EPERM 'chmod 666 "$mnt/f/all"'
refuses EPERM 'touch -d yesterday "$mnt/f/all"'
refuses EEXIST 'mkdir "$mnt/f/all"'
refuses ENOTDIR 'rmdir "$mnt/f/all"'
refuses EPERM 'echo x >> "$mnt/f/all+follow"'
refuses EPERM 'echo x >> "$mnt/f/all@start"'
refuses ENODEV 'python3 -c "import mmap, os, sys; mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 10)" "$mnt/f/all"'
for how in "-l 100000" "-p -l 4" "-z -l 4" "-c -l 4096"; do
    # shellcheck disable=SC2086
    if t fallocate $how "$mnt/f/all" 2>/dev/null; then fail "fallocate $how"; fi
done
expect_same_file "$scratch/wanted" "$mnt/f/all"

say "what was acknowledged a moment ago is not empty, though it cannot be read yet"
for ((i = 0; i < 20; ++i)); do
    make_topic "e$i" 1
    t python3 - "$mnt/e$i/all" <<'P1' || fail "what was just appended passed for nothing"
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
os.write(fd, b"acknowledged\n")
for how in (lambda: os.close(os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC)), lambda: os.truncate(sys.argv[1], 0),
            lambda: os.ftruncate(fd, 0)):
    try:
        how()
        sys.exit(1)
    except PermissionError:
        pass
P1
done

say "without O_APPEND, a write at the end appends (as .NET's FileMode.Append)"
t python3 - "$mnt/f/all" <<'P1' || fail "appending at the end: $?"
import os, sys, time
for i in range(50):
    fd = os.open(sys.argv[1], os.O_WRONLY)
    end = os.lseek(fd, 0, os.SEEK_END)
    os.write(fd, b"at the ")
    os.write(fd, b"end %d\n" % i)
    os.close(fd)
# The end moves on between the two calls.
fd = os.open(sys.argv[1], os.O_WRONLY)
end = os.lseek(fd, 0, os.SEEK_END)
other = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
os.write(other, b"comes between\n")
deadline = time.monotonic() + 20
while os.stat(sys.argv[1]).st_size < end + 14:
    if time.monotonic() > deadline:
        sys.exit("what comes between is not settled")
os.write(fd, b"at the end 50\n")
P1
wait_until 20 all_is_settled f
expect_equal 51 "$(t grep -c '^at the end [0-9]*$' "$mnt/f/all")" "lines appended at the end"

say "another delimiter; a byte log has no lines"
make_topic d 2
tsh 'printf "\\\\0" > "$mnt/d/.config/record.delimiter"; printf "a\nb\0c\0" >> "$mnt/d/all"; printf "d" >> "$mnt/d/all"'
wait_until 20 nothing_is_unfinished d
wait_until 20 all_is_settled d
expect_equal 'a|b,c,d,' "$(t cat "$mnt/d/all" | tr '\n\0' '|,')" "lines that end in NUL"
make_topic b 2
tsh 'echo none > "$mnt/b/.config/record.delimiter"'
expect_errno EPERM env "mnt=$mnt" bash -c 'echo x >> "$mnt/b/all"'
expect_equal 0 "$(bytes_of "$mnt/b/0" "$mnt/b/1")" "bytes of a byte log"

say "who may append to a topic"
as() { t setpriv --reuid 5001 --regid 6001 --clear-groups "$@"; }
t chmod 666 "$mnt/t/1" "$mnt/t/2"
for modes in "777 644" "777 664" "755 666" "777 666"; do
    t chmod "${modes% *}" "$mnt/t"
    t chmod "${modes#* }" "$mnt/t/0"
    if as bash -c 'echo "of another" >> "$1/t/all"' . "$mnt" 2>"$scratch/err"; then
        [[ $modes == *" 666" ]] || fail "another appends where the modes are $modes"
    else
        [[ $modes != *" 666" ]] || fail "another may not append: $(cat "$scratch/err")"
        grep -q 'Permission denied' "$scratch/err" || fail "modes $modes: $(cat "$scratch/err")"
    fi
    as cat "$mnt/t/all" >/dev/null || fail "another may not read where the modes are $modes"
done
t chmod 600 "$mnt/t/2"
if as cat "$mnt/t/all" 2>/dev/null; then fail "another reads what is the owner's"; fi

say "a topic with a writer stays"
for ((i = 0; i < 50; ++i)); do
    tsh 'mkdir "$mnt/gone"; : >> "$mnt/gone/all"; rmdir "$mnt/gone"'
done
t mkdir "$mnt/gone"
exec 7>>"$mnt/gone/all"
expect_errno EBUSY rmdir "$mnt/gone"
printf 'unfinished' >&7
expect_errno EBUSY rmdir "$mnt/gone"
exec 7>&-
wait_until 20 nothing_is_unfinished gone
expect_errno ENOTEMPTY rmdir "$mnt/gone"
all_is gone 'unfinished\n'

# write_all TOPIC KEYS: eight writers with buffers of all sizes.
write_all() {
    local jobs=() writer buffers=(1 100 1000 4096 4096 8192 65536 1000000) i=0
    reports=()
    for writer in a b c d e f g h; do
        timeout 900 "$all_lines" write "$mnt/$1/all" "$writer" "$seed" "$lines" 1 20000 "${buffers[i]}" "$2" \
            "$scratch/report.$writer" &
        jobs+=("$!")
        i=$((i + 1))
        reports+=("$writer=$scratch/report.$writer")
    done
    for job in "${jobs[@]}"; do
        wait "$job" || fail "a writer ended with $?"
    done
}
# check_all TOPIC KEYS ORDER
check_all() {
    wait_until 60 nothing_is_unfinished "$1"
    wait_until 60 all_is_settled "$1"
    seconds_max=300 t cat "$mnt/$1/all" >"$scratch/all"
    seconds_max=300 t cmp "$scratch/all" "$mnt/$1/all" || fail "two readings of all are not the same"
    seconds_max=600 t "$all_lines" check "$seed" 1 20000 "$2" "$3" \
        "$(printf '%s\n' "$mnt/$1"/[0-9]* | paste -sd ,)" "$scratch/all" "${reports[@]}" >"$scratch/checked" ||
        fail "SEED=$seed: $(cat "$scratch/checked")"
    say "$(cat "$scratch/checked")"
}

say "eight writers with keys"
make_topic keys 4
tsh 'echo ";" > "$mnt/keys/.config/key.separator"'
timeout 900 cat "$mnt/keys/all+follow" >"$scratch/follow" &
follower=$!
write_all keys 100
check_all keys 100 key
follower_has_all() { [[ $(stat -c %s "$scratch/follow") -eq $(stat -c %s "$scratch/all") ]]; }
wait_until 60 follower_has_all
expect_same_file "$scratch/all" "$scratch/follow"
kill "$follower"
wait "$follower" || true

say "eight writers without keys: each one's lines stay in order"
lines=$((lines / 4))
make_topic sticky 3
write_all sticky 0
check_all sticky 0 writer

say "the same after a restart"
restart
expect_same_file "$scratch/all" "$mnt/sticky/all"
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
