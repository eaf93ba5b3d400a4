#!/bin/bash
# T/.groups/G/N, all, +follow, N.offset and .config: what a group is given, what is committed and when, who may read.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3 setpriv rsync
export LC_ALL=C TZ=UTC
chmod 755 "$scratch"

# made TOPIC [LINES]: a topic with that many lines, numbered from 0, in partition 0, and the group g; $g is its path.
made() {
    t mkdir "$mnt/$1" "$mnt/$1/.groups/g"
    g=$mnt/$1/.groups/g
    [[ ${2:-0} -eq 0 ]] || tsh 'seq 0 "$2" >> "$mnt/$1/0"' "$1" "$(($2 - 1))"
}
# committed WANTED [NUMBER]: what $g says.
committed() { expect_equal "$1" "$(t cat "$g/${2:-0}.offset")" "what is committed in ${2:-0}"; }
# set_to POINT...: N.offset is written.
set_to() { tsh 'echo "$2" > "$1/0.offset"' "$g" "$1"; }
cannot_set_to() { expect_errno "$1" bash -c 'echo "$2" > "$1/0.offset"' bash "$g" "$2"; }
# python ARGUMENT...: the script on standard input.
python() { t python3 - "$@"; }
waiting_reads() { [[ $(t cat "$mnt/.status" | sed -n 's/.*"waiting_reads": *\([0-9]*\).*/\1/p') -eq $1 ]]; }

start_mount

say "cat gives all, and again only what is new"
made plain 1000
t cat "$g/0" | cmp - "$mnt/plain/0"
committed 1000
expect_equal '' "$(t cat "$g/0")"
tsh 'echo new >> "$mnt/plain/0"'
expect_equal new "$(t cat "$g/all")"
committed 1001
tsh 'printf "not " >> "$mnt/plain/0"'
expect_equal '' "$(t cat "$g/0")" "an unfinished line"
committed 1001
tsh 'echo whole >> "$mnt/plain/0"'
expect_equal 'not whole' "$(t cat "$g/0")"
committed 1002
expect_errno ENOENT cat "$g/1"
expect_errno ENOENT cat "$g/1.offset"
expect_errno EPERM bash -c 'echo x >> "$1/0"' bash "$g"

say "head takes nothing that it has not come back for"
made head 100000
# It would like to give the rest back, and says that it cannot.
expect_equal 0 "$(t head -n 1 "$g/0" 2>/dev/null)"
committed 0
expect_equal 0 "$(t head -n 1 "$g/0" 2>/dev/null)"

say "a large buffer commits nothing early"
python "$g/0" "$g/0.offset" <<'P'
import os, sys
path, offset = sys.argv[1:]
committed = lambda: int(open(offset).read())
size = 16 << 20
def readv(file, size):  # in buffers that are at no page's begin
    buffers = [bytearray(size // 5) for _ in range(4)] + [bytearray(size - size // 5 * 4)]
    got = os.readv(file, buffers)
    return b"".join(buffers)[:got]
for get in (os.read, readv):
    file = os.open(path, os.O_RDONLY)
    assert committed() == 0
    first = get(file, 100)
    assert first.endswith(b"\n") and len(first) <= 100 and committed() == 0, (first, committed())
    lines = first.count(b"\n")
    for i in range(3):
        got = get(file, 100)
        assert committed() == lines, (committed(), lines)
        lines += got.count(b"\n")
    os.close(file)
    assert os.system(f"echo earliest > {offset}") == 0
with open(os.path.dirname(path) + "/../../0", "ab") as log:
    log.write(b"".join(b"%099d\n" % n for n in range(100000)))
for get in (os.read, readv):
    file = os.open(path, os.O_RDONLY)
    before = 0
    while True:
        got = get(file, size)
        assert committed() == before, (committed(), before)
        if not got:
            break
        assert len(got) < 1 << 20 and got.endswith(b"\n"), len(got)
        before += got.count(b"\n")
    assert before == 200000, before
    os.close(file)
    assert os.system(f"echo earliest > {offset}") == 0

# A record longer than a request comes in pieces, and is committed when its last one was come back for.
with open(os.path.dirname(path) + "/../../0", "ab") as log:
    log.write(b"x" * 3000000 + b"\nlast\n")
assert os.system(f"echo 200000 > {offset}") == 0
file = os.open(path, os.O_RDONLY)
got = b""
while got.count(b"\n") == 0:
    assert committed() == 200000
    got += os.read(file, size)
assert got == b"x" * 3000000 + b"\nlast\n", len(got)
assert committed() == 200000
assert os.read(file, size) == b"" and committed() == 200002
assert os.read(file, size) == b""
os.close(file)
P

say "while read: no line is lost, and who is killed has not come back"
made loop 500
status=0
tsh 'while read -r line; do echo "$line"; [[ $line != 123 ]] || kill -KILL $$; done < "$1/0"' "$g" \
    >"$scratch/first" 2>/dev/null || status=$?
expect_equal 137 "$status"
committed 123
tsh 'while read -r line; do echo "$line"; done < "$1/0"' "$g" >"$scratch/second"
committed 500
expect_equal '123 123' "$(tail -n 1 "$scratch/first") $(head -n 1 "$scratch/second")"
{
    sed '$d' "$scratch/first"
    cat "$scratch/second"
} | cmp - "$mnt/loop/0"

say "N.offset: each way to say where"
made reset 100
committed 0
for pair in 10=10 +1=11 +5=16 -1=15 -15=0 latest=100 -0=100 earliest=0 end=100 start=0 today=0 100=100 2000-01-01=0 \
    ms1=0 -1h=0 2999-01-01=100; do
    set_to "${pair%=*}"
    committed "${pair#*=}"
done
set_to 42
for bad in '' nonsense 101 5.5 1e3 'today..' 99999999999999999999 '1 2' 0x10 2026-13-01; do
    cannot_set_to EINVAL "$bad"
    committed 42
done
expect_equal 42 "$(t head -n 1 "$g/0" 2>/dev/null)"
set_to 7
expect_equal "$(seq 7 99)" "$(t cat "$g/0")"
set_to latest
tsh 'echo later >> "$mnt/reset/0"'
expect_equal later "$(t cat "$g/0")"

say "who has a partition has it alone"
exec 7<"$g/0"
cannot_set_to EBUSY 5
expect_errno EBUSY cat "$g/0"
expect_errno EBUSY cat "$g/0+follow"
expect_equal '' "$(t cat "$g/all")" "what is left for all"
expect_errno EBUSY rmdir "$g"
committed 101
exec 7<&-
set_to 5
committed 5
python "$g" <<'P'
import os, signal, sys, time
g = sys.argv[1]
slowest = 0
def timed_open(name):
    global slowest
    begin = time.monotonic()
    file = os.open(f"{g}/{name}", os.O_RDONLY)
    slowest = max(slowest, time.monotonic() - begin)
    return file
for i in range(200):
    file = timed_open(("0", "0+follow")[i % 2])
    assert os.read(file, 100).startswith(b"5\n")
    os.close(file)
print(f"open after close: {1000 * slowest:.0f} ms at most")
# Nor does who has just closed keep others from a reset or rmdir.
os.mkdir(f"{g}/../closed")
for i in range(200):
    file = timed_open("all+follow")
    os.close(file)
    with open(f"{g}/0.offset", "w") as to:
        to.write("5")
    file = timed_open("../closed/0")
    os.close(file)
    os.rmdir(f"{g}/../closed")
    os.mkdir(f"{g}/../closed")
slowest = 0
for i in range(200):
    name = ("0", "0+follow", "all+follow")[i % 3]
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        file = os.open(f"{g}/{name}", os.O_RDONLY)
        assert os.read(file, 100).startswith(b"5\n")
        os.write(told, b"x")
        signal.pause()
    os.close(told)
    assert os.read(ready, 1) == b"x"
    os.close(ready)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    file = timed_open("0")
    assert os.read(file, 100).startswith(b"5\n")
    os.close(file)
print(f"open after kill: {1000 * slowest:.0f} ms at most")
assert slowest < 0.5
P
committed 5

say "enable.auto.commit false: only N.offset commits"
tsh 'echo false > "$1/.config/enable.auto.commit"' "$g"
expect_equal "$(seq 5 99; echo later)" "$(t cat "$g/0")"
committed 5
python "$g" <<'P'
import errno, os, sys
g = sys.argv[1]
def commit(text):
    file = os.open(f"{g}/0.offset", os.O_WRONLY)
    try:
        os.write(file, text)
    finally:
        os.close(file)
def refused(text, wanted):
    try:
        commit(text)
    except OSError as error:
        assert error.errno == wanted, (text, error)
        return
    assert False, text
committed = lambda: int(open(f"{g}/0.offset").read())
file = os.open(f"{g}/0", os.O_RDONLY)
lines = os.read(file, 20).count(b"\n")
assert os.read(file, 20) and committed() == 5
commit(b"%d\n" % (5 + lines))
assert committed() == 5 + lines
# Only what its reader was given since.
for text, wanted in ((b"90", errno.EINVAL), (b"5", errno.EINVAL), (b"x", errno.EINVAL), (b"earliest", errno.EBUSY),
                     (b"+1", errno.EBUSY)):
    refused(text, wanted)
assert committed() == 5 + lines
os.close(file)
P
tsh 'echo true > "$1/.config/enable.auto.commit"' "$g"

say "+follow: waits, EAGAIN, poll, ESPIPE, signals"
made follow 3
python "$g" "$mnt/follow/0" "$mnt/.status" <<'P'
import errno, fcntl, json, os, select, signal, sys, threading, time
g, log, status = sys.argv[1:]
def append(text):
    with open(log, "ab") as file:
        file.write(text)
def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
waiting = lambda n: lambda: json.load(open(status))["waiting_reads"] == n
committed = lambda: int(open(f"{g}/0.offset").read())
lines = 3
for name in ("0+follow", "all+follow"):
    file = os.open(f"{g}/{name}", os.O_RDONLY)
    for call in (lambda: os.lseek(file, 0, os.SEEK_CUR), lambda: os.lseek(file, 0, os.SEEK_SET),
                 lambda: os.pread(file, 10, 0)):
        try:
            call()
            assert False
        except OSError as error:
            assert error.errno == errno.ESPIPE, error
    poller = select.poll()
    poller.register(file, select.POLLIN)
    if name == "0+follow":
        assert poller.poll(0) and os.read(file, 1000) == b"0\n1\n2\n"
    assert not poller.poll(0)
    got = []
    thread = threading.Thread(target=lambda: got.append(os.read(file, 1000)))
    thread.start()
    until(waiting(1))
    assert committed() == lines  # The read that waits has come back.
    append(b"unfinished")
    assert not got and waiting(1)()
    append(b" line\n")
    thread.join(20)
    assert got == [b"unfinished line\n"], got
    fcntl.fcntl(file, fcntl.F_SETFL, os.O_NONBLOCK)
    try:
        os.read(file, 1000)
        assert False
    except BlockingIOError:
        pass
    lines += 1
    assert committed() == lines  # A read that gave nothing has come back too.
    assert not poller.poll(0)
    append(b"half")
    assert not poller.poll(50)
    threading.Timer(0.05, append, (b" and half\n",)).start()
    assert poller.poll(20000) == [(file, select.POLLIN)]
    assert os.read(file, 1000) == b"half and half\n"
    fcntl.fcntl(file, fcntl.F_SETFL, 0)
    # A signal whose handler raises ends a read that waits; nothing is lost by it.
    class Told(Exception):
        pass
    def tell(*_):
        raise Told
    signal.signal(signal.SIGUSR1, tell)
    def send():
        until(waiting(1))
        os.kill(os.getpid(), signal.SIGUSR1)
    thread = threading.Thread(target=send)
    thread.start()
    begin = time.monotonic()
    try:
        os.read(file, 1000)
        assert False
    except Told:
        pass
    thread.join()
    assert time.monotonic() - begin < 10
    lines += 1
    until(waiting(0))
    append(b"after the signal\n")
    assert os.read(file, 1000) == b"after the signal\n"
    os.close(file)  # This one was not come back for.
    assert committed() == lines
    file = os.open(f"{g}/0", os.O_RDONLY)
    assert os.read(file, 1000) == b"after the signal\n" and os.read(file, 1000) == b""
    os.close(file)
    lines += 1
P
timeout 100 cat "$g/0+follow" >"$scratch/followed" &
follower=$!
wait_until 20 waiting_reads 1
tsh 'seq 5 >> "$mnt/follow/0"'
has_five() { [[ $(wc -l <"$scratch/followed") -eq 5 ]]; }
wait_until 20 has_five
pkill -KILL -P "$follower"
wait "$follower" 2>/dev/null || true
wait_until 20 waiting_reads 0
expect_equal '' "$(t cat "$g/0")" "what cat has come back for"

say "fetch.min.bytes and fetch.max.wait.ms: the first read of an open waits too"
made enough 3
tsh 'echo 1000 > "$1/fetch.min.bytes"; echo 3600000 > "$1/fetch.max.wait.ms"' "$g/.config"
python "$g" "$mnt/enough/0" "$mnt/.status" <<'P'
import json, os, select, sys, threading, time
g, log, status = sys.argv[1:]
def append(text):
    with open(log, "ab") as file:
        file.write(text)
def set_wait(ms):
    with open(f"{g}/.config/fetch.max.wait.ms", "w") as file:
        file.write(str(ms))
def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
waits = lambda: json.load(open(status))["waiting_reads"] == 1
committed = lambda: int(open(f"{g}/0.offset").read())
def read_in_thread(file):
    got = []
    thread = threading.Thread(target=lambda: got.append(os.read(file, 1 << 20)))
    thread.start()
    return thread, got
for name in ("0+follow", "all+follow"):
    begin = committed()
    file = os.open(f"{g}/{name}", os.O_RDONLY)
    poller = select.poll()
    poller.register(file, select.POLLIN)
    thread, got = read_in_thread(file)
    until(waits)
    append(b"some\n")
    assert waits() and not got and not poller.poll(0)
    append(b"x" * 999 + b"\n")
    thread.join(20)
    assert len(got) == 1 and got[0].endswith(b"some\n" + b"x" * 999 + b"\n"), got
    # It has come back for them, though it gets nothing yet.
    append(b"few\n")
    thread, got = read_in_thread(file)
    until(waits)
    given = 5 if name == "0+follow" else 2
    assert committed() == begin + given and not got, (begin, committed())
    append(b"x" * 999 + b"\n")
    thread.join(20)
    os.close(file)
    # No more than fetch.max.wait.ms; what is there at the first read of an open counts from that read on.
    set_wait(300)
    file = os.open(f"{g}/{name}", os.O_RDONLY)
    assert os.read(file, 1 << 20) == b"few\n" + b"x" * 999 + b"\n"
    append(b"last\n")
    thread, got = read_in_thread(file)
    thread.join(20)
    assert got == [b"last\n"]
    os.close(file)
    file = os.open(f"{g}/{name}", os.O_RDONLY)
    begin = time.monotonic()
    assert os.read(file, 1 << 20) == b"last\n"
    assert time.monotonic() - begin > 0.29, time.monotonic() - begin
    os.close(file)
    # poll(2) says when a read gives something; one that does not wait gives nothing before.
    file = os.open(f"{g}/{name}", os.O_RDONLY | os.O_NONBLOCK)
    poller = select.poll()
    poller.register(file, select.POLLIN)
    begin = time.monotonic()
    try:
        os.read(file, 1 << 20)
        assert False
    except BlockingIOError:
        pass
    assert poller.poll(20000) and os.read(file, 1 << 20) == b"last\n"
    assert time.monotonic() - begin > 0.29, time.monotonic() - begin
    try:
        os.read(file, 1 << 20)
        assert False
    except BlockingIOError:
        pass
    os.close(file)
    set_wait(3600000)
P
# Without +follow nobody waits.
tsh 'echo one >> "$mnt/enough/0"'
expect_equal one "$(t cat "$g/0")"

say "without +follow it can always be read, says poll: at the end too, as a file"
made polled 3
python "$g" <<'P'
import os, select, sys
g = sys.argv[1]
for name in ("0", "all"):
    file = os.open(f"{g}/{name}", os.O_RDONLY)
    poller, epoller = select.poll(), select.epoll()
    poller.register(file, select.POLLIN)
    epoller.register(file, select.EPOLLIN)
    ready = lambda: (poller.poll(0), epoller.poll(0))
    assert all(ready()), (name, ready())
    while os.read(file, 1000):
        pass
    assert all(ready()), (name, ready())
    os.close(file)
assert int(open(f"{g}/0.offset").read()) == 3
P
if command -v pv >/dev/null; then
    set_to earliest
    expect_equal "$(seq 0 2)" "$(t pv -q "$g/0")"
    committed 3
fi

say "splice and sendfile are EINVAL, no false end; nothing is committed by them"
made spliced 1000
python "$g" "$scratch/spliced" <<'P'
import errno, os, sys
g, to = sys.argv[1:]
committed = lambda: int(open(f"{g}/0.offset").read())
out = os.open(to, os.O_WRONLY | os.O_CREAT)
pipe = os.pipe()
def refused(call):
    try:
        got = call()
    except OSError as error:
        assert error.errno == errno.EINVAL, error
        return
    assert False, got
for name in ("0", "all", "0+follow", "all+follow"):
    file = os.open(f"{g}/{name}", os.O_RDONLY)
    for i in range(2):
        refused(lambda: os.splice(file, pipe[1], 65536))
        refused(lambda: os.sendfile(out, file, None, 65536))
        # Nor when some was read.
        assert os.read(file, 100).startswith((b"0\n", b"36\n")[i]), i
    os.close(file)
    assert committed() == 36, committed()
    assert os.system(f"echo earliest > {g}/0.offset") == 0
P
t cp "$g/0" "$scratch/copied_stream"
expect_same_file "$mnt/spliced/0" "$scratch/copied_stream"
committed 1000
set_to earliest
python "$g/0" "$scratch/copied_stream" <<'P'
import shutil, sys
shutil.copyfile(*sys.argv[1:])
P
expect_same_file "$mnt/spliced/0" "$scratch/copied_stream"
committed 1000

say "a reader of all that waits gets each record once, while others come and go"
tsh 'echo 4 > "$mnt/.config/num.partitions"'
made storm
tsh 'echo 1 > "$mnt/.config/num.partitions"'
python "$mnt/storm" <<'P'
import os, sys, threading, time
topic = sys.argv[1]
lines = 2000
given = []
ended = threading.Event()
def read():
    file = os.open(f"{topic}/.groups/g/all+follow", os.O_RDONLY)
    while len(given) < lines:
        got = os.read(file, 4096)
        if not got:
            break  # An end that is none.
        given.extend(map(int, got.split()))
    os.close(file)
    ended.set()
written = threading.Event()
def come_and_go():
    while not written.is_set():
        os.close(os.open(f"{topic}/.groups/g/all+follow", os.O_RDONLY))
reader = threading.Thread(target=read, daemon=True)
others = [threading.Thread(target=come_and_go) for _ in range(2)]
for thread in [reader] + others:
    thread.start()
files = [open(f"{topic}/{p}", "ab", buffering=0) for p in range(4)]
for n in range(lines):
    if ended.is_set():
        break
    files[n % 4].write(b"%d\n" % n)
    time.sleep(0.0005)  # so that the reader waits
written.set()
for thread in others:
    thread.join()
assert ended.wait(30), f"{lines - len(given)} records do not come"
for p in range(4):
    assert [n for n in given if n % 4 == p] == list(range(p, lines, 4)), (p, len(given))
os._exit(0)
P

say "tools that walk the tree touch no group"
made walked 50
set_to 20
t mkdir "$mnt/walked/.groups/untouched"
for walk in 'grep -r . "$mnt/walked"' 'find "$mnt" -type f -exec cat {} +' 'cp -r "$mnt/walked" "$scratch/copied"' \
    'rsync -a "$mnt/walked/" "$scratch/synced/"' 'tar -cf - "$mnt/walked"' 'cat "$mnt/walked"/*' \
    'ls -lR "$mnt/walked/.groups"' 'stat "$mnt/walked/.groups/g"/*' 'du -a "$mnt/walked/.groups"'; do
    tsh "$walk >/dev/null 2>&1"
    committed 20
    expect_equal '0 no' "$(t "$TOPICFS" lag "$mnt/walked" | awk '$2 == "untouched" { print $4, $8 }')" "after $walk"
done
[[ ! -e $scratch/copied/.groups && ! -e $scratch/synced/.groups ]] || fail "groups were copied"

say "rmdir"
exec 7<"$g/all+follow"
expect_errno EBUSY rmdir "$g"
exec 7<&-
is_removed() { rmdir "$g" 2>/dev/null; }
wait_until 5 is_removed # closing takes a moment
expect_errno ENOENT cat "$g/0"
t mkdir "$g"
committed 0
expect_errno EEXIST mkdir "$g"
expect_errno EINVAL mkdir "$mnt/walked/.groups/.hidden"

say "settings"
expect_equal 'auto.offset.reset enable.auto.commit fetch.max.wait.ms fetch.min.bytes max.poll.interval.ms' \
    "$(t ls "$g/.config" | sort | paste -sd ' ')"
for pair in auto.offset.reset=latest=earliest enable.auto.commit=false=true max.poll.interval.ms=1000=off \
    fetch.min.bytes=100=1 fetch.max.wait.ms=10=500; do
    IFS='=' read -r key value default <<<"$pair"
    expect_equal "$default" "$(t cat "$g/.config/$key")" "$key"
    tsh 'echo "$2" > "$1"' "$g/.config/$key" "$value"
    expect_equal "$value" "$(t cat "$g/.config/$key")" "$key"
    expect_errno EINVAL bash -c 'echo nonsense > "$1"' bash "$g/.config/$key"
    expect_equal "$value" "$(t cat "$g/.config/$key")" "$key after a bad value"
done
committed 50 # it begins where latest says

say "permissions"
made theirs 10
tsh 'echo one >> "$mnt/theirs/1"'
as() { t setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"; }
may_not() {
    if as 5001 bash -c "g=$g; $1" >"$scratch/out" 2>"$scratch/err"; then fail "he may: $1"; fi
    grep -q 'Permission denied' "$scratch/err" || fail "$1: $(cat "$scratch/err")"
}
t chmod 750 "$g"
may_not 'cat $g/0'
may_not 'cat $g/all+follow'
may_not 'cat $g/0.offset'
may_not 'ls $g'
# To read a stream moves the group on, so it takes write permission on the group.
for pair in 0755=0400 0775=0440 0777=0444 0757=0404 0700=0400 0555=0000 0722=0400 0750=0400; do
    t chmod "${pair%=*}" "$g"
    expect_equal "${pair#*=}" "$(t stat -c %04a "$g/0")" "the mode of a stream in ${pair%=*}"
    expect_equal "${pair#*=}" "$(t stat -c %04a "$g/all+follow")" "the mode of a stream in ${pair%=*}"
done
t chmod 755 "$g"
may_not 'cat $g/0'
may_not 'cat $g/1+follow'
may_not 'cat $g/all'
may_not "'$TOPICFS' consume '$mnt/theirs/0' --group g --until-end -- true"
expect_equal 0 "$(as 5001 cat "$g/0.offset")"
committed 0
may_not 'echo 5 > $g/0.offset'
may_not 'echo false > $g/.config/enable.auto.commit'
may_not 'mkdir $g/../mine'
may_not 'rmdir $g'
t chmod 757 "$g"
t chmod 640 "$mnt/theirs/0"
may_not 'cat $g/0'
may_not 'cat $g/0+follow'
may_not 'cat $g/all'
committed 0
expect_equal one "$(as 5001 cat "$g/1")"
committed 1 1
t chmod 644 "$mnt/theirs/0"
expect_equal "$(seq 0 9)" "$(as 5001 cat "$g/all")"

say "restart, and kill -9 of the daemon"
made outlive 5000
for i in $(seq 6); do
    python "$g" "$scratch/shown" <<'P'
import os, sys
g, shown = sys.argv[1:]
file = os.open(f"{g}/0", os.O_RDONLY)
for i in range(7):
    os.read(file, 200)
with open(shown, "w") as to:
    to.write(open(f"{g}/0.offset").read())
os._exit(0)
P
    [[ $(<"$scratch/shown") -gt 0 ]] || fail "nothing was committed"
    if ((i % 2)); then
        kill_daemon
        mount_over
    else
        restart
    fi
    committed "$(<"$scratch/shown")"
    expect_equal "$(<"$scratch/shown")" "$(t head -n 1 "$g/0" 2>/dev/null)"
done
exec 7<"$g/0+follow"
t head -c 1000 <&7 >/dev/null
kill_daemon
mount_over
[[ -z $(t cat <&7 2>/dev/null) ]] || fail "a dead file gives something"
exec 7<&-
t cat "$g/0" >/dev/null
committed 5000
expect_errno ENOENT cat "$mnt/walked/.groups/none/0"
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
