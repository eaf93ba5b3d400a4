#!/bin/bash
# topicfs tail: records of a topic, a partition or a view, with where they come from.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C TZ=UTC

# gives EXPECTED ARGUMENT...: what `topicfs tail ARGUMENT...` writes.
gives() {
    local expected=$1
    shift
    t "$TOPICFS" tail "$@" >"$scratch/shown" || fail "tail $* ended with $?"
    printf "$expected" >"$scratch/expected"
    cmp "$scratch/shown" "$scratch/expected" || fail "tail $* shows $(head -c 300 "$scratch/shown")"
}
# refuses PART ARGUMENT...: it ends with 2, and its one line says PART.
refuses() {
    local part=$1 message status=0
    shift
    message=$(t "$TOPICFS" tail "$@" 2>&1) || status=$?
    [[ $status -eq 2 && $message == topicfs:*"$part"* && $message != *$'\n'* ]] || fail "tail $*: $status, $message"
}

start_mount
t mkdir "$mnt/t"
t touch "$mnt/t/1"
# A line each 20 ms: times are right to 10.
t python3 - "$mnt/t" <<'P'
import sys, time
files = [open(f"{sys.argv[1]}/{n}", "a") for n in (0, 1)]
for line in range(12):
    began = time.monotonic()
    file = files[line % 2]
    file.write(f"line {line}\n")
    file.flush()
    while time.monotonic() < began + 0.02:
        pass
P

say "a topic, its end, a part of it"
gives "$(printf 'line %s\\n' 2 3 4 5 6 7 8 9 10 11)" "$mnt/t"
gives "$(printf 'line %s\\n' 2 3 4 5 6 7 8 9 10 11)" "$mnt/t/"
gives "$(printf 'line %s\\n' 2 3 4 5 6 7 8 9 10 11)" "$mnt/t/all"
gives 'line 10\nline 11\n' "$mnt/t" --from -2
gives 'line 0\nline 1\n' "$mnt/t" --to 2
gives 'line 3\nline 4\n' "$mnt/t" --from=3 --to 5
gives 'line 8\nline 10\n' "$mnt/t/0" --from 4
gives 'line 9\nline 11\n' "$mnt/t/1@-2"
gives 'line 9\nline 11\n' "$mnt/t/1@-2..end"
gives '' "$mnt/t" --from end
(cd "$mnt/t" && gives 'line 11\n' . --from -1 && gives 'line 11\n' 1 --from -1)

say "partition, offset and time beside each"
gives 't 1:4 line 9 6\nt 0:5 line 10 7\nt 1:5 line 11 7\n' "$mnt/t" --from -3 --format '%t %p:%o %s %S\n'
gives 'line 10\0line 11\0' "$mnt/t" --from -2 --format '%s\0'
t "$TOPICFS" tail "$mnt/t" --from start --json >"$scratch/json"
t "$TOPICFS" tail "$mnt/t" --from start --format '%T %d\n' >"$scratch/times"
t python3 - "$scratch/json" "$scratch/times" <<'P'
import datetime, json, sys
records = [json.loads(line) for line in open(sys.argv[1])]
times = [line.split() for line in open(sys.argv[2])]
assert len(records) == 12 == len(times), len(records)
for number, record in enumerate(records):
    assert record["topic"] == "t" and record["record"] == f"line {number}", record
    assert (record["partition"], record["offset"]) == (number % 2, number // 2), record
    assert number == 0 or 8 <= record["timestamp"] - records[number - 1]["timestamp"] <= 5000, record
    assert datetime.datetime.fromisoformat(record["time"]).timestamp() * 1000 == record["timestamp"], record
    assert times[number] == [str(record["timestamp"]), record["time"]], times[number]
P
gives '0 line 0,1 line 2,2 line 4,3 line 6,4 line 8,5 line 10,' "$mnt/t/.days/$(date -u +%F)/0" --format '%o %s,'
gives '' "$mnt/t" --format ''

say "many records of many pieces, sealed and not, through segments and codecs"
t mkdir "$mnt/many"
tsh 'cd "$mnt/many" && touch 1 2 && echo 3000 > .config/seal.bytes && echo 50 > .config/seal.ms && echo 20000 > .config/segment.bytes'
t python3 - "$mnt/many" <<'P'
import sys, time
files = [open(f"{sys.argv[1]}/{n}", "ab", buffering=0) for n in range(3)]
for line in range(6000):
    if line == 3000:
        open(f"{sys.argv[1]}/.config/compression.type", "w").write("zstd")
    files[line * line % 7 % 3].write(b"%d %s\n" % (line, b"x" * (line % 50)))
P
all_settled() { [[ $(t grep -c . "$mnt/many/all") -eq 6000 ]]; }
wait_until 20 all_settled
t "$TOPICFS" tail "$mnt/many" --from start --format '%p %o %T %s\n' >"$scratch/many"
t python3 - "$scratch/many" "$mnt/many" <<'P'
import sys
next_offset, last_time, seen = [0, 0, 0], 0, []
lines = open(sys.argv[1]).read().splitlines()
for line in lines:
    partition, offset, time, record = line.split(" ", 3)
    assert int(offset) == next_offset[int(partition)], line
    assert int(time) >= last_time, line
    next_offset[int(partition)] += 1
    last_time = int(time)
    number = int(record.split()[0])
    assert number * number % 7 % 3 == int(partition), line
    seen.append(number)
assert sorted(seen) == list(range(6000)), len(seen)
P
t "$TOPICFS" tail "$mnt/many" --from 2500 --format '%p %o %T %s\n' | cmp - <(tail -n +2501 "$scratch/many") ||
    fail "from the middle it shows something else"

say "a record that no UTF-8 is, one of no bytes, one that is not finished"
t mkdir "$mnt/odd"
tsh 'printf "\377\n\nunfinished" >> "$mnt/odd/0"'
t "$TOPICFS" tail "$mnt/odd/0" --json >"$scratch/json"
t python3 - "$scratch/json" <<'P'
import json, sys
first, second, third = [json.loads(line) for line in open(sys.argv[1])]
assert first["record_base64"] == "/w==" and first["offset"] == 0, first
assert second["record"] == "" and second["time"] is not None, second
assert third["record"] == "unfinished" and third["offset"] == 2 and third["time"] is None, third
P
gives '\377\n\nunfinished' "$mnt/odd/0"

say "--follow shows each record when it is there, and ends at --to"
timeout 60 "$TOPICFS" tail "$mnt/t" --from end --follow --format '%p:%o %s\n' >"$scratch/followed" &
follower=$!
timeout 60 "$TOPICFS" tail "$mnt/t/0" --from 5 --to 8 -f --json >"$scratch/finite" &
finite=$!
is_following() { [[ $(t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["open_handles"])' "$mnt/.status") -eq 2 ]]; }
wait_until 20 is_following
tsh 'echo one >> "$mnt/t/0"; printf half >> "$mnt/t/0"'
has_one() { [[ $(<"$scratch/followed") == '0:6 one' ]]; }
wait_until 20 has_one
tsh 'echo " and half" >> "$mnt/t/0"'
has_two() { [[ $(<"$scratch/followed") == $'0:6 one\n0:7 half and half' ]]; }
wait_until 20 has_two
wait "$finite" || fail "the finite one ended with $?"
[[ $(wc -l <"$scratch/finite") -eq 3 ]] || fail "the finite one gave $(<"$scratch/finite")"
kill "$follower"
wait "$follower" || true

say "--follow ends when nobody reads what it writes"
mkfifo "$scratch/pipe"
timeout 60 "$TOPICFS" tail "$mnt/t" --from end -f >"$scratch/pipe" &
follower=$!
exec 5<"$scratch/pipe"
is_waiting() { [[ $(t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["open_handles"])' "$mnt/.status") -eq 1 ]]; }
wait_until 20 is_waiting
exec 5<&-
wait "$follower" || fail "it ended with $?"

say "through a symbolic link"
ln -s "$mnt/t/1" "$scratch/link"
ln -s "$mnt/t" "$scratch/topic"
gives 'line 11\n' "$scratch/link" --from -1
t "$TOPICFS" tail "$scratch/topic" >"$scratch/shown" || fail "a link to a topic: $?"

say "what cannot be"
refuses 'is no point' "$mnt/t" --from x
refuses 'is no point' "$mnt/t" --from +5m
refuses 'is no point' "$mnt/t" --to 1..2
refuses 'a view already' "$mnt/t/0@-2" --to 3
refuses 'a view already' "$mnt/t/.days/$(date -u +%F)/0" --follow
refuses 'in the format' "$mnt/t" --format '%x'
refuses 'exclude each other' "$mnt/t" --format '%s' --json
refuses 'No such file' "$mnt/none"
refuses 'No such file' "$mnt/t/7"
refuses 'neither topic, partition' "$mnt"
refuses 'neither topic, partition' "$scratch/json"
refuses 'neither topic, partition' "$scratch"
refuses 'there is no such view' "$mnt/t/.status"
cp "$scratch/json" "$scratch/0@-10"
refuses 'neither topic' "$scratch/0@-10"
refuses 'PATH' --json
t mkdir "$mnt/bytes"
tsh 'echo none > "$mnt/bytes/.config/record.delimiter" && printf abc >> "$mnt/bytes/0"'
refuses 'byte log' "$mnt/bytes/0" --json
gives 'bc' "$mnt/bytes/0" --from 1
[[ $(t "$TOPICFS" tail "$mnt/many" --from start --json | head -1 | wc -l) -eq 1 ]] || fail "a reader that goes is an error"
stop_mount
