#!/bin/bash
# Appends that stay in the kernel: which ones do and which do not, and that they keep what is promised of appends.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
line_writer=$(helper line_writer)
line_checker=$(helper line_checker)
export LC_ALL=C

# status PATH EXPRESSION: of the JSON that PATH holds, which is s in the expression.
status() { t python3 -c 'import json, sys; s = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$mnt/$1" "$2"; }
requests() { status .status "s['requests'].get('$1', 0)"; }
# What is closed is told to the daemon a moment later.
nothing_is_open() { [[ $(status .status "s['open_handles']") == "${1:-0}" ]]; }

start_mount --verbose >"$scratch/said"
reason=$(no_passthrough_because)
if [[ -n $reason ]]; then
    grep -qF "$reason" "$scratch/said" || fail "mount --verbose does not say why: $(cat "$scratch/said")"
    skip "passthrough is not to be had here: $reason"
fi

say "it is said which way appends take"
expect_equal "$mnt: appends stay in the kernel (passthrough)" "$(cat "$scratch/said")" "what mount --verbose says"
expect_equal passthrough "$(status .status "s['write_path']")" "write_path in .status"
grep -q 'is mounted at .*; appends stay in the kernel' "$log" || fail "the log does not say it"
t mkdir "$mnt/orders"
# write.path may be the other one here, for the run that has all topics so.
tsh 'echo auto > "$mnt/.config/write.path"; echo auto > "$mnt/orders/.config/write.path"'
expect_equal auto "$(t cat "$mnt/orders/.config/write.path")" "write.path"
expect_errno EINVAL bash -c "echo kernel > $mnt/orders/.config/write.path"
file=$mnt/orders/0
: >"$scratch/plain"

# both SCRIPT: runs it with $file as the plain file, and as the partition; $writes is how many WRITE requests it made.
both() {
    wait_until 10 nothing_is_open
    tsh "file=$scratch/plain; $1"
    writes=$(requests WRITE)
    tsh "file=$file; $1"
    writes=$(($(requests WRITE) - writes))
    expect_same_file "$scratch/plain" "$file"
}
in_kernel() {
    both "$1"
    [[ $writes -eq 0 ]] || fail "$writes WRITE requests: $1"
}
by_daemon() {
    both "$1"
    [[ $writes -gt 0 ]] || fail "no WRITE request: $1"
}

say "what stays in the kernel"
in_kernel 'echo one >> "$file"'
in_kernel 'for i in $(seq 300); do echo "$i" >> "$file"; done'
in_kernel 'seq 100000 >> "$file"'
in_kernel 'seq 3 | tee -a "$file" > /dev/null'
in_kernel 'exec 3>>"$file"; echo a >&3; seq 10 >&3; (echo child >&3); echo b >&3'
in_kernel 'dd if=/dev/zero bs=3M count=2 of="$file" oflag=append conv=notrunc status=none'
in_kernel 'dd if=/dev/zero bs=100 count=2 of="$file" oflag=append conv=notrunc,fsync status=none'
in_kernel 'python3 -c "
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
os.write(fd, b\"x\" * 2500000 + b\"\\n\")
os.writev(fd, [b\"many \", b\"parts\", b\"\\n\"])
assert os.pwrite(fd, b\"at the end all the same\\n\", 0) == 24
os.fsync(fd)
os.fdatasync(fd)
" "$file"'
in_kernel 'for i in 1 2 3 4; do (for n in $(seq 20); do echo "same line" >> "$file"; done) & done; wait'
wait_until 10 nothing_is_open
writes=$(requests WRITE)
tsh 'echo a new partition >> "$mnt/orders/1"'
expect_equal 0 "$(($(requests WRITE) - writes))" "WRITE requests to a new partition"
expect_equal 'a new partition' "$(t cat "$mnt/orders/1")" "content of a new partition"

say "what goes through the daemon"
by_daemon 'dd if=/dev/zero bs=100 count=2 of="$file" oflag=append,dsync conv=notrunc status=none'
by_daemon 'dd if=/dev/zero bs=100 count=2 of="$file" oflag=append,sync conv=notrunc status=none'
by_daemon 'python3 -c "
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_APPEND)
os.write(fd, b\"read and write\\n\")
assert os.pread(fd, 6, os.fstat(fd).st_size - 6) == b\"write\\n\"
" "$file"'
by_daemon 'dd if=/dev/zero bs=1 count=3 seek="$(stat -c %s "$file")" of="$file" conv=notrunc status=none'
in_kernel 'echo and after them >> "$file"'
tsh 'echo 1 > "$mnt/orders/.config/flush.messages"'
by_daemon 'echo durable >> "$file"'
tsh 'echo 2 > "$mnt/orders/.config/flush.messages"'
in_kernel 'seq 10 >> "$file"'
tsh 'echo off > "$mnt/orders/.config/flush.messages"'

say "write.path takes effect once the last writer has closed"
wait_until 10 nothing_is_open
exec 3>>"$file"
tsh 'echo daemon > "$mnt/orders/.config/write.path"'
writes=$(requests WRITE)
echo first >&3
tsh 'echo second >> "$mnt/orders/0"'
expect_equal "$writes" "$(requests WRITE)" "WRITE requests while a writer past the daemon is there"
exec 3>&-
printf '%s\n' first second >>"$scratch/plain"
by_daemon 'echo third >> "$file"'
wait_until 10 nothing_is_open
exec 3>>"$file"
tsh 'echo passthrough > "$mnt/orders/.config/write.path"'
writes=$(requests WRITE)
echo fourth >&3
tsh 'echo fifth >> "$mnt/orders/0"'
expect_equal $((writes + 2)) "$(requests WRITE)" "WRITE requests while a writer through the daemon is there"
exec 3>&-
printf '%s\n' fourth fifth >>"$scratch/plain"
in_kernel 'echo sixth >> "$file"'
tsh 'echo auto > "$mnt/orders/.config/write.path"'
in_kernel 'echo seventh >> "$file"'
restart
in_kernel 'echo after a restart >> "$file"'
tsh 'echo daemon > "$mnt/orders/.config/write.path"'
restart
by_daemon 'echo after another >> "$file"'
tsh 'echo auto > "$mnt/orders/.config/write.path"'

say "a writer's descriptor refuses all but appends"
wait_until 10 nothing_is_open
t python3 - "$file" "$scratch/plain" <<'PYTHON' || fail "see above"
import ctypes, errno, fcntl, mmap, os, sys
path, plain = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
def refused(wanted, what, call):
    try:
        result = call()
    except OSError as error:
        assert error.errno in wanted, f"{what}: {error}"
        return
    sys.exit(f"{what} works: {result}")
def fallocate(mode, at, length):
    def call():
        if libc.fallocate(fd, mode, ctypes.c_long(at), ctypes.c_long(length)) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return call
EPERM, EBADF, EACCES = {errno.EPERM}, {errno.EBADF}, {errno.EACCES}
fd = os.open(path, os.O_WRONLY | os.O_APPEND)
size = os.fstat(fd).st_size
for length in (0, 5, size, size + 1000):
    refused(EPERM, f"ftruncate to {length}", lambda: os.ftruncate(fd, length))
    refused(EPERM, f"truncate to {length}", lambda: os.truncate(path, length))
for flags in (os.O_WRONLY | os.O_APPEND, os.O_WRONLY, os.O_RDWR | os.O_APPEND):
    refused(EPERM, "O_TRUNC", lambda: os.open(path, flags | os.O_TRUNC))
refused(EPERM, "rename", lambda: os.rename(path, os.path.dirname(path) + "/9"))
refused(EPERM, "unlink", lambda: os.unlink(path))
refused(EPERM, "link", lambda: os.link(path, os.path.dirname(path) + "/9"))
for mode in (0, 1, 3, 8, 16, 32):
    refused({errno.EOPNOTSUPP, errno.EPERM}, f"fallocate, mode {mode}", fallocate(mode, 0, 65536))
refused(EBADF, "read", lambda: os.read(fd, 10))
refused(EBADF, "pread", lambda: os.pread(fd, 10, 0))
for how in (mmap.MAP_SHARED, mmap.MAP_PRIVATE):
    refused(EACCES, "mmap", lambda: mmap.mmap(fd, 4096, flags=how, prot=mmap.PROT_READ))
refused(EACCES, "mmap", lambda: mmap.mmap(fd, 4096, flags=mmap.MAP_SHARED, prot=mmap.PROT_WRITE))
source = os.open(plain, os.O_RDONLY)
refused({errno.EBADF}, "copy_file_range", lambda: os.copy_file_range(source, fd, 10, 0, 0))
both = os.open(path, os.O_RDWR | os.O_APPEND)
refused({errno.ENODEV}, "a writable shared mapping",
        lambda: mmap.mmap(both, 4096, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE))
os.close(both)
assert os.fstat(fd).st_size == size
# Where fcntl has taken the flag away, writes go to the end all the same.
fcntl.fcntl(fd, fcntl.F_SETFL, 0)
assert os.pwrite(fd, b"appended\n", 0) == 9
assert os.pwrite(fd, b"appended again\n", size + 5000) == 15
PYTHON
printf '%s\n' appended 'appended again' >>"$scratch/plain"
expect_same_file "$scratch/plain" "$file"

say "stat and seek of a writer's descriptor"
t python3 - "$file" <<'PYTHON' || fail "see above"
import os, subprocess, sys
path = sys.argv[1]
fd = os.open(path, os.O_WRONLY | os.O_APPEND)
other = os.open(path, os.O_WRONLY | os.O_APPEND)
def check(size):
    for now in (os.fstat(fd), os.fstat(other), os.stat(path)):
        assert now.st_size == size, (now.st_size, size)
        assert now.st_ino == inode, (now.st_ino, inode)
    for one in (fd, other):
        assert os.lseek(one, 0, os.SEEK_END) == size
        assert os.lseek(one, 0, os.SEEK_HOLE) == size
        assert os.lseek(one, 0, os.SEEK_DATA) == 0
size, inode = os.stat(path).st_size, os.stat(path).st_ino
check(size)
for i in range(50):
    size += os.write(fd if i % 2 else other, b"x" * i + b"\n")
    check(size)
before = os.fstat(fd)
os.utime(fd, ns=(5, 7))
os.fchmod(fd, 0o640)
after = os.stat(path)
assert (after.st_atime_ns, after.st_mtime_ns, after.st_mode & 0o777) == (5, 7, 0o640), after
PYTHON
t cp "$file" "$scratch/plain"

say "opens of all kinds beside one another are all served"
t mkdir "$mnt/opens"
t python3 - "$mnt/opens/0" <<'PYTHON' || fail "see above"
import os, sys, threading
path = sys.argv[1]
append = os.O_WRONLY | os.O_APPEND
kinds = [append, append, append | os.O_DSYNC, append | os.O_CREAT, os.O_WRONLY, os.O_RDWR | os.O_APPEND, os.O_RDONLY]
failed = []
def opens(flags):
    try:
        for i in range(1500):
            fd = os.open(path, flags)
            if flags & os.O_APPEND:
                os.write(fd, b"x\n")
            os.close(fd)
    except OSError as error:
        failed.append(f"{flags:o}: {error}")
threads = [threading.Thread(target=opens, args=(flags,)) for flags in kinds]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit("; ".join(failed) or None)
PYTHON
expect_equal 7500 "$(t wc -l <"$mnt/opens/0")" "lines of 5 that append"

say "writers on both ways at the same time: each line is there once and whole"
t mkdir "$mnt/lines"
line_bytes_max=1000000 # what a write with O_RDWR is whole up to
writers=()
for letter in a b c d; do
    mode=append
    [[ $letter == [ab] ]] || mode=read-write
    timeout 100 "$line_writer" "$mnt/lines/0" "$letter" 7 "$line_bytes_max" 60 "$mode" >"$scratch/ack.$letter" &
    writers+=("$!")
done
wait "${writers[@]}" || fail "a writer ended with $?"
wanted=()
for letter in a b c d; do
    expect_equal '60 0 0' "$(cat "$scratch/ack.$letter")" "what writer $letter has written"
    wanted+=("$letter:7:60:0:0")
done
t "$line_checker" "$mnt/lines/0" 0 "$line_bytes_max" "${wanted[@]}" >"$scratch/checked" || fail "$(cat "$scratch/checked")"

say "records have the time at which they were appended"
t mkdir "$mnt/times"
tsh 'echo 1 > "$mnt/times/.config/seal.ms"'
# A line each 25 ms: what is looked at is when the clock says that each came.
t python3 - "$mnt/times/0" "$mnt/times/.status" >"$scratch/times" <<'PYTHON' || fail "see above"
import json, os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
late = []
for i in range(60):
    if i % 20 == 10:
        time.sleep(0.3)  # a rest, after which the writer is not expected
    before = time.time_ns() // 1000000
    position = os.fstat(fd).st_size
    os.write(fd, b"a line of text\n")
    print(position, before, time.time_ns() // 1000000)
    seen = 0
    while seen < before - 10:
        with open(sys.argv[2]) as status:
            seen = json.load(status)["partitions"][0]["last_append_ms"]
        if time.time_ns() // 1000000 > before + 5000:
            sys.exit(f"the append was not seen within 5 s: {seen} {before}")
    late.append(seen - before)
    time.sleep(0.025)
late.sort()
print("last_append_ms is late by", late, file=sys.stderr)
# A few may have waited for a processor.
if late[len(late) // 2] > 10 or late[len(late) * 9 // 10] > 20 or late[0] < -10:
    sys.exit("last_append_ms is not the time of the append")
PYTHON
stop_mount
for segment in "$data"/topics/times/0/*.log.*; do
    t "$TOPICFS" dump --json "$segment"
done >"$scratch/dumped"
t python3 - "$scratch/times" "$scratch/dumped" <<'PYTHON' || fail "see above"
import bisect, json, sys
lines = [tuple(map(int, line.split())) for line in open(sys.argv[1])]
text, decoder, batches = open(sys.argv[2]).read(), json.JSONDecoder(), []
while text.strip():
    dumped, end = decoder.raw_decode(text.strip())
    text = text.strip()[end:]
    batches += dumped["batches"]
assert len(batches) > 20, f"only {len(batches)} batches"
late = []
for batch in batches:
    first = lines[bisect.bisect_right(lines, (batch["base_position"], 1 << 62)) - 1]
    late.append(batch["first_time"] - first[1])
late.sort()
print("batch times are late by", late, file=sys.stderr)
if late[len(late) // 2] > 10 or late[len(late) * 9 // 10] > 20 or late[0] < -10:
    sys.exit("the times of batches are not those of the appends")
PYTHON
expect_status 0 "$TOPICFS" verify "$data"
