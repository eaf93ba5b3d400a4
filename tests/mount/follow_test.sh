#!/bin/bash
# T/N+follow: the same file, but a read at its end waits for more.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C

status() { t python3 -c 'import json, sys; s = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$mnt/.status" "$1"; }
waiting_reads() { [[ $(status "s['waiting_reads']") -eq $1 ]]; }
same_size() { [[ $(stat -c %s "$1") -eq $(stat -c %s "$2") ]]; }
# follow NAME SCRIPT: a shell line in the background whose output goes to $scratch/NAME; its process is $follower.
follow() {
    timeout --kill-after=5 100 bash -c "$2" "$test_name" "$mnt/$topic/0+follow" >"$scratch/$1" 2>"$scratch/$1.err" &
    follower=$!
}
ended_well() { # PROCESS NAME
    wait "$1" || fail "$2 ended with $?: $(cat "$scratch/$2.err")"
}

start_mount
t mkdir "$mnt/feed" "$mnt/small" "$mnt/many" "$mnt/end"
tsh 'echo 20000 > "$mnt/feed/.config/seal.bytes"; echo 20 > "$mnt/feed/.config/seal.ms"'

say "cat streams what is appended"
topic=feed
: >"$scratch/fed"
feed() { # SCRIPT: appends what it prints
    tsh "$1" | tee -a "$scratch/fed" | t tee -a "$mnt/feed/0" >/dev/null
}
follow cat_from_empty 'exec cat "$1"'
cats=("$follower")
wait_until 10 waiting_reads 1
feed 'echo first'
wait_until 10 same_size "$scratch/fed" "$scratch/cat_from_empty"
feed 'printf "a line in "'
wait_until 10 same_size "$scratch/fed" "$scratch/cat_from_empty" # a line's beginning is given at once
feed 'echo two parts'
follow cat_from_begin 'exec cat < "$1"'
cats+=("$follower")
follow cat_small 'exec dd if="$1" bs=1000 status=none'
cats+=("$follower")
# At a fixed number of lines its reader ends, and so does cat at the next line.
follow pipe 'cat "$1" | head -n 500'
pipe=$follower
all_have_it() {
    local name
    for name in cat_from_empty cat_from_begin cat_small; do
        same_size "$scratch/fed" "$scratch/$name" || return 1
    done
}
for i in $(seq 30); do
    feed "seq $((i * i * i))"
    wait_until 20 all_have_it
done
feed 'head -c 5000000 /dev/zero | tr "\0" x; echo; seq 200000'
wait_until 30 all_have_it
tsh 'exec 3>>"$mnt/feed/0"; for i in $(seq 2000); do echo "$i" >&3; done'
seq 2000 >>"$scratch/fed"
wait_until 20 all_have_it
for name in cat_from_empty cat_from_begin cat_small; do
    expect_same_file "$scratch/fed" "$scratch/$name"
    [[ ! -s $scratch/$name.err ]] || fail "$name: $(cat "$scratch/$name.err")"
done
ended_well "$pipe" pipe
head -n 500 "$scratch/fed" | cmp - "$scratch/pipe" || fail "head has other lines"
expect_same_file "$scratch/fed" "$mnt/feed/0"

say "who waits and is killed is gone at once"
wait_until 10 waiting_reads 3
begin=$(date +%s%3N)
for job in "${cats[@]}"; do
    pkill -KILL -P "$job"
done
wait_until 5 waiting_reads 0
for job in "${cats[@]}"; do
    wait "$job" 2>/dev/null || true
done 2>/dev/null
(($(date +%s%3N) - begin < 3000)) || fail "it took $(($(date +%s%3N) - begin)) ms"

say "seeking, not waiting, signals, large buffers"
tsh 'echo one >> "$mnt/small/0"'
t python3 - "$mnt/small/0" <<'PYTHON' || fail "see above"
import ctypes, errno, fcntl, mmap, os, signal, sys, threading, time
path, follow = sys.argv[1], sys.argv[1] + "+follow"
def refused(wanted, what, call):
    try:
        result = call()
    except OSError as error:
        assert error.errno == wanted, f"{what}: {error}"
        return
    sys.exit(f"{what} works: {result}")
def append(data):
    with open(path, "ab", buffering=0) as file:
        file.write(data)

assert os.stat(follow).st_ino == os.stat(path).st_ino
assert os.stat(follow).st_size == 4
for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_APPEND, os.O_WRONLY | os.O_TRUNC):
    refused(errno.EPERM, f"open with {flags:o}", lambda: os.open(follow, flags))
fd = os.open(follow, os.O_RDONLY)
for whence in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END):
    refused(errno.ESPIPE, "lseek", lambda: os.lseek(fd, 0, whence))
refused(errno.ESPIPE, "pread", lambda: os.pread(fd, 10, 0))
assert os.read(fd, 2) == b"on" and os.read(fd, 100) == b"e\n"

# With O_NONBLOCK, of the open or set later.
quick = os.open(follow, os.O_RDONLY | os.O_NONBLOCK)
assert os.read(quick, 100) == b"one\n"
refused(errno.EAGAIN, "a read at the end", lambda: os.read(quick, 100))
append(b"two\n")
assert os.read(quick, 100) == b"two\n"
refused(errno.EAGAIN, "a read at the end", lambda: os.read(quick, 100))
fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)
assert os.read(fd, 100) == b"two\n"
refused(errno.EAGAIN, "a read at the end", lambda: os.read(fd, 100))
fcntl.fcntl(fd, fcntl.F_SETFL, 0)

# A large buffer waits for nothing once there is something.
aligned = mmap.mmap(-1, 4 << 20)  # so that the kernel's requests are whole ones of a megabyte
def reads_without_waiting(count):
    got = b""
    while len(got) < count:
        part = os.readv(fd, [aligned])
        assert part
        got += aligned[:part]
    return got
signal.alarm(30)
append(b"x" * 99 + b"\n")
assert os.read(fd, 4 << 20) == b"x" * 99 + b"\n"
for size in (4095, 4096, (1 << 20) - 4097, (1 << 20) - 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 4 << 20, 9000001):
    data = os.urandom(size)
    append(data)
    assert reads_without_waiting(size) == data, size
signal.alarm(0)

# A signal ends a waiting read with EINTR.
libc = ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGALRM, lambda number, frame: None)
buffer = ctypes.create_string_buffer(100)
for turn in range(20):
    # Again and again: the first one may come before the read has begun.
    signal.setitimer(signal.ITIMER_REAL, 0.001 * turn + 0.0001, 0.1)
    begin = time.monotonic()
    got = libc.read(fd, buffer, 100)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert (got, ctypes.get_errno()) == (-1, errno.EINTR), (got, ctypes.get_errno())
    assert time.monotonic() - begin < 5
append(b"after the signals\n")
assert os.read(fd, 100) == b"after the signals\n"
# One that the handler does not end goes on and loses nothing.
reader = threading.Thread(target=lambda: result.append(os.read(fd, 100)))
result = []
reader.start()
append(b"to a thread\n")
reader.join()
assert result == [b"to a thread\n"]
PYTHON

say "poll, select and epoll tell when there is more"
t python3 - "$mnt/small/0" <<'PYTHON' || fail "see above"
import os, select, sys
path, follow = sys.argv[1], sys.argv[1] + "+follow"
writer = os.open(path, os.O_WRONLY | os.O_APPEND)
def append(data, stays_open):
    if stays_open:
        os.write(writer, data)
    else:
        with open(path, "ab", buffering=0) as file:
            file.write(data)
fd = os.open(follow, os.O_RDONLY | os.O_NONBLOCK)
poll, epoll, edge = select.poll(), select.epoll(), select.epoll()
poll.register(fd, select.POLLIN)
epoll.register(fd, select.EPOLLIN)
edge.register(fd, select.EPOLLIN | select.EPOLLET)
ready = [(fd, select.POLLIN)]
PATIENCE = 20
assert poll.poll(0) == ready, "there is something from the beginning"
def drain():
    try:
        while True:
            assert os.read(fd, 1 << 20)
    except BlockingIOError:
        pass
drain()
edge.poll(0)
for turn in range(200):
    assert poll.poll(0) == [] and epoll.poll(0) == [] and select.select([fd], [], [], 0)[0] == [], turn
    append(b"more\n", turn % 2)
    if turn % 4 == 0:
        assert poll.poll(PATIENCE * 1000) == ready
    elif turn % 4 == 1:
        assert epoll.poll(PATIENCE) == ready
    elif turn % 4 == 2:
        assert edge.poll(PATIENCE) == ready
    else:
        assert select.select([fd], [], [], PATIENCE)[0] == [fd]
    assert poll.poll(0) == ready
    assert os.read(fd, 100) == b"more\n"
    edge.poll(0)
# Partitions themselves are always ready, as POSIX says of files.
plain = os.open(path, os.O_RDONLY)
poll = select.poll()
poll.register(plain, select.POLLIN | select.POLLOUT)
assert poll.poll(0) == [(plain, select.POLLIN | select.POLLOUT)]
PYTHON

say "names"
expect_equal 0 "$(t ls -A "$mnt/small" | xargs)" "what ls shows"
expect_equal "$mnt/small/0" "$(t find "$mnt/small" -type f)" "what find shows"
expect_errno EPERM bash -c "echo x >> $mnt/small/0+follow"
expect_errno EPERM bash -c "echo x > $mnt/small/0+follow"
expect_errno EPERM touch "$mnt/small/1+follow"
expect_errno EPERM rm "$mnt/small/0+follow"
expect_errno ENOENT cat "$mnt/small/1+follow"
expect_errno ENOENT cat "$mnt/small/.status+follow"
expect_errno ENOENT cat "$mnt/small+follow"

say "1,000 readers that wait: no thread of the daemon each, and all get every line"
tsh 'echo 0 >> "$mnt/many/0"'
threads_before=$(ls "/proc/$daemon/task" | wc -l)
timeout --kill-after=5 100 python3 - "$mnt/many/0+follow" 1000 40 >"$scratch/many" <<'PYTHON' &
import os, sys, threading
path, readers, lines = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
wanted = b"".join(b"%d\n" % line for line in range(lines))
threading.stack_size(65536)
good = []
def read():
    fd, got = os.open(path, os.O_RDONLY), b""
    while len(got) < len(wanted):
        part = os.read(fd, 65536)
        assert part
        got += part
    if got == wanted:
        good.append(fd)
threads = [threading.Thread(target=read) for _ in range(readers)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(good))
PYTHON
many=$!
wait_until 60 waiting_reads 1000
threads=$(ls "/proc/$daemon/task" | wc -l)
((threads <= threads_before)) || fail "the daemon has $threads threads, and had $threads_before"
tsh 'seq 19 >> "$mnt/many/0"; for i in $(seq 20 39); do echo "$i" >> "$mnt/many/0"; done'
wait "$many" || fail "the readers ended with $?"
expect_equal 1000 "$(cat "$scratch/many")" "readers that have all lines"
threads=$(ls "/proc/$daemon/task" | wc -l)
((threads <= threads_before)) || fail "the daemon has $threads threads, and had $threads_before"
waiting_reads 0 || fail "reads wait that nobody waits for"

say "the end of the daemon is the end of the file"
topic=end
tsh 'seq 100 >> "$mnt/end/0"'
seq 100 >"$scratch/wanted"
poller='import os, select, sys
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
os.read(fd, 1 << 20)
poll = select.poll()
poll.register(fd, select.POLLIN)
print("ready", flush=True)
poll.poll()
assert os.read(fd, 100) == b""'
for how in TERM lazy; do
    follow "cat_$how" 'exec cat "$1"'
    cat=$follower
    follow "poll_$how" "exec python3 -c '$poller' \"\$1\""
    poller_process=$follower
    wait_until 10 waiting_reads 1
    wait_until 10 grep -q ready "$scratch/poll_$how"
    if [[ $how == TERM ]]; then
        kill_daemon TERM
        is_not_mounted || fail "still mounted after SIGTERM"
        ! grep -q 'files are still open' "$log" || fail "SIGTERM waited for followers"
    else
        expect_status 1 "$TOPICFS" umount "$mnt"
        grep -q cat "$scratch/err" || fail "umount does not say who uses it: $(cat "$scratch/err")"
        expect_status 0 "$TOPICFS" umount --lazy "$mnt"
        wait_until 30 daemon_is_gone "$daemon"
    fi
    ended_well "$cat" "cat_$how"
    ended_well "$poller_process" "poll_$how"
    expect_same_file "$scratch/wanted" "$scratch/cat_$how"
    start_mount
done
say "the end of the topic is the end of the file"
topic=gone
t mkdir "$mnt/gone"
follow cat_gone 'exec cat "$1"'
cat=$follower
follow poll_gone "exec python3 -c '${poller/os.read(fd, 1 << 20)/}' \"\$1\""
poller_process=$follower
wait_until 10 waiting_reads 1
wait_until 10 grep -q ready "$scratch/poll_gone"
t rmdir "$mnt/gone"
ended_well "$cat" cat_gone
ended_well "$poller_process" poll_gone
expect_equal 0 "$(stat -c %s "$scratch/cat_gone")" "what was read"
wait_until 10 waiting_reads 0

stop_mount
expect_status 0 "$TOPICFS" verify "$data"
