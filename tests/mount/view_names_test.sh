#!/bin/bash
# Names of views can be many and strange. A client that looks up hundreds of thousands of them leaves the daemon's memory
# and its nodes where they were, without anybody's telling the kernel to drop what it knows.
#
#   NAMES   how many are looked up (default: 200000)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C TZ=UTC
names=${NAMES:-200000}

nodes() { t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["nodes"])' "$mnt/.status"; }
rss_anon_kb() { awk '$1 == "RssAnon:" { print $2 }' "/proc/$daemon/status"; }

if [[ $(printf '6.18\n%s\n' "$(uname -r)" | sort -V | head -n 1) != 6.18 ]]; then
    skip "needs Linux 6.18: an older kernel cannot be told to forget a name, and keeps it until it wants the memory"
fi
start_mount
t mkdir "$mnt/t"
tsh 'echo 4096 > "$mnt/t/.config/seal.bytes"; touch "$mnt/t/1"
    for i in $(seq 1000); do echo "line $i"; done | tee -a "$mnt/t/1" >> "$mnt/t/0"'

# look_up FIRST COUNT: so many names from a number on; of ten of them one is opened and read, and some are no names.
look_up() {
    timeout 600 python3 - "$mnt/t" "$1" "$2" <<'P' || fail "the client ended with $?"
import errno, os, sys
topic, first, count = os.fsencode(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
day = next(os.scandir(topic + b"/.days")).name
def expect(name, wanted):
    try:
        os.stat(topic + b"/" + name)
        got = 0
    except OSError as error:
        got = error.errno
    if got != wanted:
        sys.exit(f"{name}: errno {got}, not {wanted}")
good = [
    lambda i: b"0@%d" % (i % 1000),
    lambda i: b"0@ms%d" % (1700000000000 + i),
    lambda i: b"1@-%d..ms%d+follow" % (i, 4000000000000 + i),
    lambda i: b"0@%d" % (1000000 + i),  # behind the end
    lambda i: b"all@-%d" % i,
    lambda i: b"all@ms%d..+%ds" % (1700000000000 + i, i),
    lambda i: b"0@2026-01-01T00:00:00.%03d-%02d:00..end" % (i % 1000, i % 24),
    lambda i: b".days/%s/%s" % (day, [b"0", b"1", b"all"][i % 3]),
]
bad = [
    lambda i: b"0@nonsense%d" % i,
    lambda i: b"0@" + b"x" * (240 - len(str(i))) + b"%d" % i,
    lambda i: b"0@" + (b"%d" % i).rjust(253, b"x"),  # 255 bytes
    lambda i: b"0@\xff\xfe\x80%d" % i,
    lambda i: b"0@ %d " % i,
    lambda i: b"0@%d\n0@%d" % (i, i),
    lambda i: b"7@%d" % i,
    lambda i: b"%d@@%d" % (i, i),
    lambda i: b"0@99999999999999999999%d" % i,
    lambda i: b".days/19%02d-01-01" % (i % 100),
]
for i in range(first, first + count):
    name = good[i % len(good)](i)
    if i % 10 == 0:
        fd = os.open(topic + b"/" + name, os.O_RDONLY | os.O_NONBLOCK)
        try:
            os.read(fd, 100)
        except BlockingIOError:
            pass
        os.close(fd)
    else:
        expect(name, 0)
    if i % 2 == 0:
        expect(bad[i // 2 % len(bad)](i), errno.ENOENT)
P
}

# What is taken once, for buffers and caches, is there after these.
look_up 0 20000
nodes_before=$(nodes)
rss_before=$(rss_anon_kb)
look_up 20000 "$names"
nodes_after=$(nodes)
rss_after=$(rss_anon_kb)
say "$names names: nodes $nodes_before, then $nodes_after; RssAnon $rss_before kB, then $rss_after kB"
# The latest ones, which somebody may be about to open.
((nodes_after < 1200)) || fail "nodes stay behind"
((rss_after <= rss_before + 1024)) || fail "memory stays behind"

say "views that stay open meanwhile go on, and are forgotten when they are closed"
exec 3<"$mnt/t/0@-1" 4<"$mnt/t/0@start..end"
look_up 500000 20000
tsh 'echo more >> "$mnt/t/0"'
[[ $(timeout 20 cat <&3) == $'line 1000\nmore' ]] || fail "an open view does not grow"
[[ $(timeout 20 cat <&4 | wc -l) -eq 1000 ]] || fail "an open view has another size"
exec 3<&- 4<&-
stop_mount
