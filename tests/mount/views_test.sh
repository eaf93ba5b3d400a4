#!/bin/bash
# T/N@FROM..TO and T/.days: parts of a partition by name.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3 rsync
export LC_ALL=C TZ=UTC

# shows NAME TEXT: a view of $mnt/t holds exactly this; twice, and the same by stat.
shows() {
    local size
    t cat "$mnt/t/$1" >"$scratch/shown" || fail "cat $1 ended with $?"
    printf "$2" >"$scratch/expected"
    cmp "$scratch/shown" "$scratch/expected" || fail "$1 shows something else"
    size=$(t stat -c %s "$mnt/t/$1")
    [[ $size -eq $(stat -c %s "$scratch/expected") ]] || fail "stat says that $1 has $size bytes"
}
is_not_there() { # NAME
    local message
    if message=$(t cat "$mnt/t/$1" 2>&1); then
        fail "$1 is there"
    fi
    [[ $message == *"No such file or directory"* ]] || fail "$1: $message"
}
everything_is_sealed() {
    t python3 -c 'import json, sys; p = json.load(open(sys.argv[1]))["partitions"][0]
sys.exit(p["sealed_position"] != p["end_position"])' "$mnt/t/.status"
}
nodes() { t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["nodes"])' "$mnt/.status"; }

start_mount
t mkdir "$mnt/t"
tsh 'echo 200 > "$mnt/t/.config/seal.bytes"; echo 20 > "$mnt/t/.config/seal.ms"'

say "offsets, numbers of records, start and end"
tsh 'for i in $(seq 0 9); do echo "line $i" >> "$mnt/t/0"; done'
for round in head sealed; do
    if [[ $round == sealed ]]; then
        wait_until 20 everything_is_sealed
    fi
    shows 0@start..3 'line 0\nline 1\nline 2\n'
    shows 0@earliest..3 'line 0\nline 1\nline 2\n'
    shows 0@7 'line 7\nline 8\nline 9\n'
    shows 0@7..8 'line 7\n'
    shows 0@-2 'line 8\nline 9\n'
    shows 0@-3..-1 'line 7\nline 8\n'
    shows 0@end ''
    shows 0@latest ''
    shows 0@5..5 ''
    shows 0@5..2 ''
    shows 0@-100..1 'line 0\n'
done

say "an offset behind the end is empty until the log gets there"
shows 0@11..12 ''
tsh 'echo "line 10" >> "$mnt/t/0"'
shows 0@11..12 ''
tsh 'echo "line 11" >> "$mnt/t/0"; echo "line 12" >> "$mnt/t/0"'
shows 0@11..12 'line 11\n'
shows 0@11 'line 11\nline 12\n'

say "what does not parse, and what there is not"
for name in 0@ 0@x 0@1.. 0@..1 0@1..2..3 0@+5 0@-5x 0@2026-13-01 0@1@2 1@start 00@1 x@1 @1 '0@1+' '0@1+folow' 0@1..+ 'all@x'; do
    is_not_there "$name"
done
tsh '! mkdir "$mnt/t/0@1" 2>/dev/null; ! touch "$mnt/t/0@nonsense" 2>/dev/null; ! echo x 2>/dev/null >> "$mnt/t/0@1"'
tsh '! : 2>/dev/null > "$mnt/t/0@1"; ! rm "$mnt/t/0@1" 2>/dev/null; ! mv "$mnt/t/0@1" "$mnt/t/0@2" 2>/dev/null'
t ls -A "$mnt/t" >"$scratch/listed"
[[ $(<"$scratch/listed") == 0 ]] || fail "the listing shows $(<"$scratch/listed")"

say "times: what was appended before a moment, and what after"
before=$(date -u +ms%s%3N)
# Times are right to 10 ms.
tsh 'until [[ $(date +%s%3N) -gt $((${1#ms} + 30)) ]]; do :; done; echo after >> "$mnt/t/0"' "$before"
shows "0@${before}" 'after\n'
lines=$(t grep -c . "$mnt/t/0@start..$before")
[[ $lines -eq 13 ]] || fail "before the moment there are $lines lines"
moment=$(python3 -c 'import sys, datetime
t = datetime.datetime.fromtimestamp(int(sys.argv[1][2:]) / 1000, datetime.timezone.utc)
print(t.strftime("%Y-%m-%dT%H:%M:%S.") + "%03d" % (t.microsecond // 1000))' "$before")
shows "0@$moment" 'after\n'
shows "0@${moment}Z" 'after\n'
shows "0@${moment}Z..+1h" 'after\n'
shows "0@${before}..+1ms" ''
t cmp "$mnt/t/0" "$mnt/t/0@-15m"
t cmp "$mnt/t/0" "$mnt/t/0@-7d..+30d"
t cmp "$mnt/t/0" "$mnt/t/0@2026-01-01"
shows 0@2099-01-01 ''

say "a view that was opened shows the same for good, but for what comes at its end"
exec 3<"$mnt/t/0@-1" 4<"$mnt/t/0@start..end"
tsh 'echo "and more" >> "$mnt/t/0"'
[[ $(timeout 20 cat <&3) == $'after\nand more' ]] || fail "an open view does not grow"
[[ $(timeout 20 cat <&4 | wc -l) -eq 14 ]] || fail "a view up to the end of then has grown"
exec 3<&- 4<&-

say "the inode number is the name's"
[[ $(t stat -c %i "$mnt/t/0@-1") == "$(t stat -c %i "$mnt/t/0@-1")" ]] || fail "two look-ups, two numbers"
[[ $(t stat -c %i "$mnt/t/0@-1") != "$(t stat -c %i "$mnt/t/0@-2")" ]] || fail "two names, one number"

say "copies by ordinary tools, without what is not listed"
t cp "$mnt/t/0@-15m" "$scratch/copy"
t cmp "$scratch/copy" "$mnt/t/0"
t cp -r "$mnt/t" "$scratch/copied"
t cmp "$scratch/copied/0" "$mnt/t/0"
[[ $(ls -A "$scratch/copied") == 0 ]] || fail "cp -r took $(ls -A "$scratch/copied")"
[[ $(t grep -r after "$mnt/t" | wc -l) -eq 1 ]] || fail "grep -r sees a record more than once"

say "+follow goes on to the end of the view, and ends there"
timeout 60 cat "$mnt/t/0@-1+follow" >"$scratch/followed" &
follower=$!
count=$(t grep -c . "$mnt/t/0")
timeout 60 cat "$mnt/t/0@$((count - 1))..$((count + 3))+follow" >"$scratch/finite" &
finite=$!
both_wait() { [[ $(t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["waiting_reads"])' "$mnt/.status") -eq 2 ]]; }
wait_until 20 both_wait # What -1 means is decided when it is looked up.
tsh 'for i in 1 2 3 4 5; do echo "followed $i" >> "$mnt/t/0"; done'
wait "$finite" || fail "the reader of a finite view ended with $?"
[[ $(wc -l <"$scratch/finite") -eq 4 ]] || fail "a finite view gave $(wc -l <"$scratch/finite") lines"
has_all() { [[ $(wc -l <"$scratch/followed") -eq 6 ]]; }
wait_until 20 has_all
kill "$follower"
wait "$follower" || true

say "+follow up to a moment ends when it has passed, though nothing comes"
until=$(($(date +%s%3N) + 400))
t cat "$mnt/t/0@-2..ms$until+follow" >"$scratch/until"
[[ $(date +%s%3N) -ge $until ]] || fail "it ended before its time"
[[ $(wc -l <"$scratch/until") -eq 2 ]] || fail "it gave $(wc -l <"$scratch/until") lines"
t python3 - "$mnt/t/0@end..+300ms+follow" <<'P'
import select, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
try:
    os.read(fd, 10)
    sys.exit("a read at the end did not say EAGAIN")
except BlockingIOError:
    pass
poll = select.poll()
poll.register(fd, select.POLLIN)
if not poll.poll(20000):
    sys.exit("nobody told the poller that the view is complete")
if os.read(fd, 10) != b"":
    sys.exit("the view has bytes")
P

say "a day's file"
today=$(date -u +%F)
[[ $(t ls "$mnt/t/.days") == *"$today"* ]] || fail "today is not among the days: $(t ls "$mnt/t/.days")"
t cmp "$mnt/t/0" <(t cat "$mnt"/t/.days/*/0)
is_not_there .days/1999-01-01/0
is_not_there .days/1999-01-01
is_not_there ".days/$today/7"
is_not_there ".days/$today/x"
tsh '! mkdir "$mnt/t/.days/2000-01-01" 2>/dev/null; ! rmdir "$mnt/t/.days/$1" 2>/dev/null; ! rmdir "$mnt/t/.days" 2>/dev/null' "$today"
t rsync -a "$mnt/t/.days/" "$scratch/days/"
changed=$(t rsync -ai "$mnt/t/.days/" "$scratch/days/")
[[ -z $changed ]] || fail "the second rsync copies $changed"
tsh 'echo "one more" >> "$mnt/t/0"'
t rsync -a "$mnt/t/.days/" "$scratch/days/"
t cmp "$mnt/t/0" <(cat "$scratch"/days/*/0)

say "who may not read the partition may not read its views"
t chmod 640 "$mnt/t/0"
[[ $(t stat -c %a "$mnt/t/0@-1") == 440 ]] || fail "the mode of a view is $(t stat -c %a "$mnt/t/0@-1")"
[[ $(t stat -c %a "$mnt/t/.days/$today/0") == 440 ]] || fail "the mode of a day's file is another"
[[ $(t stat -c %a "$mnt/t/all") == 640 ]] || fail "the mode of all is $(t stat -c %a "$mnt/t/all")"
t chmod 666 "$mnt/t/0"
[[ $(t stat -c %a "$mnt/t/all") == 666 ]] || fail "the mode of all is $(t stat -c %a "$mnt/t/all")"
t chmod 644 "$mnt/t/0"

say "many names leave nothing behind"
t python3 - "$mnt/t" <<'P'
import os, sys
for i in range(20000):
    try:
        os.stat(f"{sys.argv[1]}/0@{i % 3}..ms{1700000000000 + i}")
    except OSError as error:
        sys.exit(f"{i}: {error}")
    try:
        os.stat(f"{sys.argv[1]}/0@nonsense{i}")
        sys.exit("nonsense is there")
    except FileNotFoundError:
        pass
P
tsh 'echo 2 > /proc/sys/vm/drop_caches' 2>/dev/null || say "SKIPPED: cannot have the kernel drop what it knows"
few_nodes() { [[ $(nodes) -lt 100 ]]; }
wait_until 20 few_nodes

say "the views are the same after a restart"
t cp "$mnt/t/0@start..$before" "$scratch/early"
stop_mount
start_mount
t cmp "$scratch/early" "$mnt/t/0@start..$before"
stop_mount
