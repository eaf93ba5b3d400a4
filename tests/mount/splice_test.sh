#!/bin/bash
# Readers by sendfile, splice and mmap read through the kernel's page cache. Beside a writer they see what was appended,
# and never a NUL that nobody wrote.
#
#   TURNS   calls of sendfile beside each kind of writer (default 20000)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C
turns=${TURNS:-20000}

start_mount
t mkdir "$mnt/busy" "$mnt/pages" "$mnt/maps"
tsh 'for topic in busy maps; do echo 100000 > "$mnt/$topic/.config/seal.bytes"; echo 50 > "$mnt/$topic/.config/seal.ms"; done'
file=$mnt/busy/0
tsh 'echo start >> "$mnt/busy/0"'

# Writers run until $scratch/stop is there. Their lines say where they begin, so that a reader knows each byte.
start_writers() {
    rm -f "$scratch/stop"
    writers=()
    local script
    for script in "$@"; do
        stop=$scratch/stop file=$file timeout 300 bash -euo pipefail -c "$script" &
        writers+=("$!")
    done
}
stop_writers() {
    touch "$scratch/stop"
    wait "${writers[@]}" || fail "a writer ended with $?"
}
# shellcheck disable=SC2016  # the inner bash expands it
{
    opens_each_time='while [[ ! -e $stop ]]; do echo x >> "$file"; done'
    stays_open='exec 3>>"$file"; i=0; while [[ ! -e $stop ]]; do echo "a line of a writer that stays, $i" >&3; i=$((i + 1)); done'
}
no_nul() { # FILE WHAT
    expect_equal 0 "$(tr -dc '\0' <"$1" | wc -c)" "NULs from $2"
}

# sendfile_beside: at the file's size of the moment, from a page before it to behind it.
sendfile_beside() {
    seconds_max=280 t python3 - "$file" "$turns" <<'PYTHON' || fail "see above"
import os, sys
path, turns = sys.argv[1], int(sys.argv[2])
fd = os.open(path, os.O_RDONLY)
check = os.open(path, os.O_RDONLY)
out, into = os.pipe()
splice_out, splice_into = os.pipe()
import fcntl
for pipe in (into, splice_into):
    fcntl.fcntl(pipe, 1031, 1 << 20)  # F_SETPIPE_SZ
sizes = 0
for turn in range(turns):
    size = os.fstat(fd).st_size
    at = max(0, (size - 5000) // 4096 * 4096)
    if turn % 4 == 3:
        count = os.splice(fd, splice_into, 65536, offset_src=at)
        got = os.read(splice_out, count)
    else:
        count = os.sendfile(into, fd, at, 65536)
        got = os.read(out, count)
    assert len(got) == count
    if b"\0" in got:
        sys.exit(f"turn {turn}: NULs at {at + got.index(0)}, in {count} bytes from {at}, where the size was {size}")
    if count < size - at:
        sys.exit(f"turn {turn}: {count} bytes from {at}, where the size was {size}")
    if turn % 50 == 0:
        assert os.pread(check, count, at) == got, f"turn {turn}: other bytes than by read"
PYTHON
}
# tools_beside: whole files, by what people use.
tools_beside() {
    local tool turn
    for turn in 1 2 3; do
        for tool in 'pv -q' 'busybox cat' 'python3 -c "import shutil, sys; shutil.copyfile(sys.argv[1], \"/dev/stdout\")"' \
            'cp /dev/stdin /dev/stdout <'; do
            if ! command -v "${tool%% *}" >/dev/null; then
                [[ $turn -gt 1 ]] || say "${tool%% *} is not installed: not tried"
                continue
            fi
            tsh "$tool \"\$1\" > \"\$scratch/taken\"" "$file"
            no_nul "$scratch/taken" "$tool"
            t cmp -n "$(stat -c %s "$scratch/taken")" "$file" "$scratch/taken"
        done
    done
}

say "sendfile and splice beside a writer that opens, appends and closes"
start_writers "$opens_each_time"
sendfile_beside
tools_beside
stop_writers

say "beside a writer that stays open"
start_writers "$stays_open"
sendfile_beside
tools_beside
stop_writers

say "beside several of both, and other readers"
start_writers "$opens_each_time" "$stays_open" "$opens_each_time" \
    'while [[ ! -e $stop ]]; do stat "$file"; tail -c 100 "$file"; ls -l "${file%/*}"; done > /dev/null'
sendfile_beside
tools_beside
stop_writers
t cat "$file" >"$scratch/at_the_end"
no_nul "$scratch/at_the_end" cat
grep -qavxE 'start|x|a line of a writer that stays, [0-9]+' "$scratch/at_the_end" && fail "there are lines that nobody wrote"
for tool in 'pv -q' 'busybox cat'; do
    if command -v "${tool%% *}" >/dev/null; then
        # shellcheck disable=SC2086  # a command and its option
        t $tool "$file" | cmp - "$scratch/at_the_end"
    fi
done

say "one descriptor that reads each page again as it fills"
# The page at the end was in the page cache when it was not full.
t python3 - "$mnt/pages/0" <<'PYTHON' || fail "see above"
import mmap, os, sys
path = sys.argv[1]
writer = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
reader = os.open(path, os.O_RDONLY)
out, into = os.pipe()
wanted = b""
for turn in range(600):
    line = b"%0*d\n" % (turn * 37 % 300 + 1, turn)
    if turn % 3 == 0:
        with open(path, "ab", buffering=0) as file:
            file.write(line)
    else:
        os.write(writer, line)
    wanted += line
    at = max(0, len(wanted) - 5000) // 4096 * 4096
    for fd in (reader, os.open(path, os.O_RDONLY)):
        # The kernel splices up to the size it knows, and asks for that at a stat.
        assert os.fstat(fd).st_size == len(wanted), f"turn {turn}: stat"
        count = os.sendfile(into, fd, at, 65536)
        assert os.read(out, count) == wanted[at:], f"turn {turn}: sendfile"
        count = os.splice(fd, into, 65536, offset_src=at)
        assert os.read(out, count) == wanted[at:], f"turn {turn}: splice"
        with mmap.mmap(fd, len(wanted), flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as mapped:
            assert mapped[at:] == wanted[at:], f"turn {turn}: mmap"
        if fd != reader:
            os.close(fd)
PYTHON

say "mappings beside a writer: the partition's bytes; a writable shared one is refused"
file=$mnt/maps/0
tsh 'seq -f "item/%.0f of a list that is searched" 20000 | tee "$scratch/maps" >> "$mnt/maps/0"'
# shellcheck disable=SC2016
start_writers 'exec 3>>"$file"; while [[ ! -e $stop ]]; do echo "more of it" >&3; done'
t python3 - "$file" "$scratch/maps" <<'PYTHON' || fail "see above"
import errno, mmap, os, sys
path, begin = sys.argv[1], open(sys.argv[2], "rb").read()
for turn in range(300):
    fd = os.open(path, os.O_RDONLY)
    size = os.fstat(fd).st_size
    with mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as mapped:
        assert mapped[:len(begin)] == begin, f"turn {turn}: other bytes at the begin"
        rest = mapped[len(begin):size]
        assert rest == (b"more of it\n" * (len(rest) // 11 + 1))[:len(rest)], f"turn {turn}: other bytes at the end"
    os.close(fd)
for flags in (os.O_RDWR, os.O_RDWR | os.O_APPEND):
    fd = os.open(path, flags)
    try:
        mmap.mmap(fd, 4096, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        sys.exit("a writable shared mapping works")
    except OSError as error:
        assert error.errno == errno.ENODEV, error
    os.close(fd)
PYTHON
if command -v rg >/dev/null; then
    for i in $(seq 30); do
        expect_equal 2000 "$(t rg -c --mmap 'item/[0-9]*7 ' "$file")" "what rg --mmap counts"
    done
    expect_equal "$(grep -c 'item/1' "$scratch/maps")" "$(t rg -a --mmap 'item/1' "$file" | wc -l)" "what rg --mmap finds"
else
    say "rg is not installed: not tried"
fi
stop_writers
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
