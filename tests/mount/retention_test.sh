#!/bin/bash
# Retention by bytes and by time, and topicfs trim: what is given back, what open files see of it, and what is found anew.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C TZ=UTC

start_of() { t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["partitions"][0]["start_offset"])' "$1/.status"; }
starts_behind() { (($(start_of "$1") > $2)); }
disk_of() { du --block-size=1 -s "$data/topics/$1" | cut -f 1; }
takes_less() { (($(disk_of "$1") <= $2)); }
has_lines() { (($(wc -l <"$1") >= $2)); }
lines() { # FROM TO
    seq -f 'line %08.0f of a log that is long enough to be cut somewhere, and has some more to say' "$1" "$2"
}
set_quick() { # TOPIC: small pieces, and nothing waits long
    tsh 'cd "$1/.config"; echo 65536 > seal.bytes; echo 50 > seal.ms; echo 400000 > segment.bytes
        echo none > compression.type; echo 100 > file.delete.delay.ms' "$1"
}

start_mount
tsh 'echo 100 > "$mnt/.config/log.retention.check.interval.ms"'

say "by bytes: followers miss nothing, the disk has its space back"
topic=$mnt/bytes
t mkdir "$topic"
set_quick "$topic"
lines 1 1000 >"$scratch/written"
tsh 'cat "$scratch/written" >> "$1/0"' "$topic"
inode=$(t stat -c %i "$topic/0")
tail -n +1 -f "$topic/0" >"$scratch/followed" &
follower=$!
tail -n +1 -F "$topic/0" >"$scratch/followed_by_name" 2>/dev/null &
follower_by_name=$!
timeout 120 cat "$topic/0+follow" >"$scratch/waited" &
waiter=$!
wait_until 20 has_lines "$scratch/followed" 1000
wait_until 20 has_lines "$scratch/followed_by_name" 1000
t mkdir "$topic/.groups/behind"
t head -c 900 "$topic/.groups/behind/0" >"$scratch/first" # begins the group
committed=$(t cat "$topic/.groups/behind/0.offset")
tsh 'echo 300000 > "$1/.config/retention.bytes"' "$topic"
for ((from = 1001; from < 60000; from += 1000)); do
    lines "$from" $((from + 999)) >"$scratch/piece"
    cat "$scratch/piece" >>"$scratch/written"
    tsh 'cat "$scratch/piece" >> "$1/0"' "$topic"
    wait_until 20 has_lines "$scratch/followed" $((from + 999))
    wait_until 20 has_lines "$scratch/followed_by_name" $((from + 999))
done
wait_until 20 has_lines "$scratch/waited" 60000
for follower_output in followed followed_by_name waited; do
    expect_same_file "$scratch/written" "$scratch/$follower_output"
done
kill "$follower" "$follower_by_name" "$waiter"
wait "$follower" "$follower_by_name" "$waiter" 2>/dev/null || true
expect_equal "$inode" "$(t stat -c %i "$topic/0")" "the inode number"
# A batch, head, and what the books take.
wait_until 30 takes_less bytes $((300000 + 2 * 65536 + 100000))
start=$(start_of "$topic")
((start > 50000)) || fail "the log starts at $start only"
tail -n +"$((start + 1))" "$scratch/written" >"$scratch/kept"
(($(stat -c %s "$scratch/kept") >= 300000)) || fail "too much went"
expect_same_file "$scratch/kept" "$topic/0"
expect_equal "$(stat -c %s "$scratch/kept")" "$(t stat -c %s "$topic/0")" "the size"
t ls "$topic/0@$((start - 1))" 2>/dev/null && fail "an offset before the log start was found"
expect_equal "$(head -n 1 "$scratch/kept")" "$(t head -n 1 "$topic/0@$start")" "the first record by its offset"
expect_same_file "$scratch/kept" "$topic/0@start"
expect_same_file "$scratch/kept" "$topic/0@2000-01-01"
expect_same_file "$scratch/kept" "$topic/all"

say "a group that was overtaken goes on at the log start, and what it missed is counted"
timeout 20 cat "$topic/.groups/behind/0" >"$scratch/consumed"
expect_same_file "$scratch/kept" "$scratch/consumed"
missed=$(t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["groups"][0]["partitions"][0]["missed"])' "$topic/.status")
expect_equal "$((start - committed))" "$missed" "the records that the group has missed"

say "an open file keeps its positions, until what it reads is given back"
t python3 - "$topic/0" "$topic" "$scratch/kept" <<'P'
import errno, os, sys, time
path, topic, kept = sys.argv[1:]
want = open(kept, "rb").read()
old = os.open(path, os.O_RDONLY)
assert os.pread(old, 1000, 0) == want[:1000]
with open(topic + "/.config/retention.bytes", "w") as setting:
    setting.write("100000")
deadline = time.monotonic() + 20
while True:
    try:
        got = os.pread(old, 1000, 0)
        assert got == want[:1000], "another byte than before"
    except OSError as error:
        assert error.errno == errno.EIO, error
        break
    assert time.monotonic() < deadline, "the front was never given back"
    time.sleep(0.02)
end = len(want)
assert os.fstat(old).st_size == end, "the size of what is open has changed"
assert os.pread(old, 1000, end - 1000) == want[-1000:], "the end has moved"
with open(path, "ab", buffering=0) as log:
    log.write(b"one more\n")
assert os.pread(old, 100, end) == b"one more\n"
P
echo "one more" >>"$scratch/written"

say "whatever is open while the log start moves keeps its positions: readers, writers, mappings, views, days, all"
topic=$mnt/open
t mkdir "$topic"
set_quick "$topic"
tsh 'echo 3600000 > "$1/.config/file.delete.delay.ms"' "$topic"
lines 1 20000 >"$scratch/open"
tsh 'cat "$scratch/open" >> "$1/0"' "$topic"
t python3 - "$topic" "$scratch/open" "$TOPICFS" <<'P'
import errno, mmap, os, subprocess, sys, time
topic, content, topicfs = sys.argv[1:]
want = open(content, "rb").read()
day = sorted(os.listdir(topic + "/.days"))[-1]
line = want.index(b"\n") + 1
lines = 20000
patience = 20

def await_equal(read, wanted, what):
    deadline = time.monotonic() + patience
    while (got := read()) != wanted:
        if time.monotonic() > deadline:
            sys.exit(f"{what}: {len(got)} bytes, not {len(wanted)}: {got[:100]} and not {wanted[:100]}")
        time.sleep(0.02)

def read_at(fd, at, count):
    parts = []
    while count > 0 and (part := os.pread(fd, count, at)):
        parts.append(part)
        at, count = at + len(part), count - len(part)
    return b"".join(parts)

# Names, flags, and how many bytes the log has before their begin.
names = [("0", os.O_RDONLY, 0), ("0", os.O_RDWR | os.O_APPEND, 0), ("0@start", os.O_RDONLY, 0),
         ("0@100", os.O_RDONLY, 100 * line), ("0@-1d", os.O_RDONLY, 0), ("0@10..20000", os.O_RDONLY, 10 * line),
         (f".days/{day}/0", os.O_RDONLY, 0), (f".days/{day}/all", os.O_RDONLY, 0), ("all", os.O_RDONLY, 0),
         ("all@-1d", os.O_RDONLY, 0)]
opened = []
for name, flags, before in names:
    fd = os.open(f"{topic}/{name}", flags)
    await_equal(lambda: read_at(fd, 0, len(want)), want[before:], name)
    opened.append((name, fd, before, ".." not in name))
writer = os.open(topic + "/0", os.O_WRONLY | os.O_APPEND)
follower = os.open(topic + "/0+follow", os.O_RDONLY)
assert os.read(follower, 1000) == want[:1000]
groups = []
for name in "0", "all":
    os.mkdir(f"{topic}/.groups/of-{name}")
    groups.append(os.open(f"{topic}/.groups/of-{name}/{name}", os.O_RDONLY))
    got = os.read(groups[-1], 1000)
    assert got and got == want[:len(got)], "the group's first read"
try:
    mapped = mmap.mmap(opened[0][1], len(want), mmap.MAP_PRIVATE, mmap.PROT_READ)
except OSError as error:
    assert error.errno == errno.ENODEV, error
    mapped = None
    print("mmap: there is no such device, as may be")

def trim(to):
    subprocess.run([topicfs, "trim", topic + "/0", "--to", str(to)], check=True, timeout=patience,
                   stdout=subprocess.DEVNULL)

def append(text):
    global want
    os.write(writer, text)
    want += text

def check(start):
    for name, fd, before, grows in opened:
        is_there = want if grows else want[:lines * line]
        at = max(before, start)
        await_equal(lambda: read_at(fd, at - before, len(is_there)), is_there[at:], name)
        size = os.fstat(fd).st_size
        assert size == len(is_there) - before, f"{name}: its size is {size}"
    if mapped:
        assert mapped[start:] == want[start:len(mapped)], "mmap"

for to in 5000, 12345:
    trim(to)
    with open(topic + "/0", "rb") as new:
        assert new.read() == want[to * line:], "what is opened anew does not begin at the log start"
    append(b"after %d\n" % to)
    check(0)  # all of it, for file.delete.delay.ms
    for group in groups:  # these go on at the log start
        got = os.read(group, 1000)
        assert got and want.startswith(got, to * line), f"{group}: a group that was overtaken read {got[:100]}"
got = b""
while len(got) < len(want) - 1000:
    got += os.read(follower, 1 << 20)
assert got == want[1000:], "+follow"
inode = os.stat(topic + "/0").st_ino
assert all(os.fstat(fd).st_ino == inode for name, fd, _, _ in opened if name == "0")

with open(topic + "/.config/file.delete.delay.ms", "w") as setting:
    setting.write("100")
trim(15000)
deadline = time.monotonic() + patience
for name, fd, before, _ in opened:
    while True:  # until it is given back
        try:
            os.pread(fd, 10, 200 * line)
        except OSError as error:
            assert error.errno == errno.EIO, (name, error)
            break
        assert time.monotonic() < deadline, f"{name}: what was removed can still be read"
        time.sleep(0.02)
mapped = None  # who touches what has gone gets SIGBUS, as for any file that is cut
check(15000 * line)
for group in groups:
    got = os.read(group, 1 << 20)
    while not want.endswith(got[-1000:]):
        got += os.read(group, 1 << 20)
    assert got == want[15000 * line:], "a group that was overtaken, and what it had is given back"
append(b"and more\n")
check(15000 * line)
assert os.read(follower, 1000) == b"and more\n"
trim("end")
append(b"last\n")
for name, fd, before, grows in opened:
    if grows:
        await_equal(lambda: read_at(fd, len(want) - 5 - before, 100), b"last\n", name)
assert os.read(follower, 1000) == b"last\n"
P

say "by time: all goes that is older, head too; what comes then is there"
topic=$mnt/time
t mkdir "$topic"
set_quick "$topic"
tsh 'seq 1000 >> "$1/0"; echo 300 > "$1/.config/retention.ms"' "$topic"
wait_until 30 starts_behind "$topic" 999
tsh 'echo new >> "$1/0"' "$topic"
expect_equal new "$(t tail -n 1 "$topic/0@$((1000))" 2>/dev/null || t cat "$topic/0@1000+follow" | head -n 1)" "what came then"
tsh 'echo -1 > "$1/.config/retention.ms"' "$topic"

say "trim by offset, by time and to the end; never back"
topic=$mnt/trim
t mkdir "$topic"
set_quick "$topic"
tsh 'seq 1 100 >> "$1/0"' "$topic"
expect_status 0 "$TOPICFS" trim "$topic/0" --to 40
expect_equal 41 "$(t head -n 1 "$topic/0")" "the first record"
expect_status 0 "$TOPICFS" trim "$topic/0" --to start
expect_refusal 2 'before the log start' "$TOPICFS" trim "$topic/0" --to 39
expect_refusal 2 'behind the log end' "$TOPICFS" trim "$topic/0" --to 101
expect_refusal 2 'none of: an offset' "$TOPICFS" trim "$topic/0" --to never
expect_refusal 2 'none of: an offset' "$TOPICFS" trim "$topic/0" --to=-10
expect_refusal 2 'still to come; .end. removes' "$TOPICFS" trim "$topic/0" --to "$(($(date +%Y) + 1))-01-01"
expect_refusal 2 'is missing' "$TOPICFS" trim "$topic/0"
expect_refusal 2 '' "$TOPICFS" trim "$scratch" --to 1
expect_equal 41 "$(t head -n 1 "$topic/0")" "the first record after refusals"
expect_status 0 "$TOPICFS" trim "$topic" --to 2000-01-01 --json
expect_equal 41 "$(t head -n 1 "$topic/0")" "the first record after an early time"
restart
expect_equal 41 "$(t head -n 1 "$topic/0")" "the first record after a restart"
# Who has appended and looks at the file himself sees no other size than all others.
t python3 - "$TOPICFS" "$topic/0" >"$scratch/sizes" <<'END'
import os, subprocess, sys
topicfs, partition = sys.argv[1:]
with open(partition, "ab") as file:
    file.write(b"101\n102\n")
before = os.stat(partition).st_size
subprocess.run([topicfs, "trim", partition, "--to", "100"], check=True, timeout=20, stdout=subprocess.DEVNULL)
print(before, os.stat(partition).st_size)
END
expect_equal "189 8" "$(<"$scratch/sizes")" "the sizes before and after a trim"
expect_status 0 "$TOPICFS" trim "$topic" --to end
expect_equal "" "$(t cat "$topic/0")" "what is left"
kill_daemon
mount_over
expect_equal 102 "$(start_of "$topic")" "the log start after a death"
tsh 'echo 103 >> "$1/0"' "$topic"
expect_equal 103 "$(t cat "$topic/0")" "what came then"
t mkdir "$mnt/7"
tsh 'seq 10 >> "$1/0"; echo 2 > "$1/.config/num.partitions"' "$mnt/7"
for path in 7 7/ 7/0; do
    expect_status 0 "$TOPICFS" trim "$mnt/$path" --to start
done
(cd "$mnt/7" && expect_status 0 "$TOPICFS" trim . --to end)
expect_equal "" "$(t cat "$mnt/7/0")" "what is left in a topic that is called as a partition"
tsh 'seq 10 >> "$1/1"' "$mnt/7"
expect_refusal 2 '7/0: offset 5 lies before the log start$' "$TOPICFS" trim "$mnt/7" --to 5
expect_equal 6 "$(t head -n 1 "$mnt/7/1")" "the first record of the other partition"
expect_refusal 2 'no topic|not a topic|No such' "$TOPICFS" trim "$mnt/nothing" --to end
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
