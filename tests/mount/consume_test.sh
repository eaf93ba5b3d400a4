#!/bin/bash
# topicfs consume: batches to a command, commits, retries, dead letters, signals.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C TZ=UTC

# A worker that keeps what it got, unless a record of the batch has "bad" in it.
cat >"$scratch/worker" <<'W'
#!/bin/bash
batch=$(cat && printf x)
[[ $batch != *bad* ]] || exit 3
printf '%s' "${batch%x}" >>"$1"
W
chmod +x "$scratch/worker"

consume() { t "$TOPICFS" consume "$@"; }
committed() { t cat "$mnt/$1"; }
# lag TOPIC GROUP: of all its partitions.
lag() {
    t "$TOPICFS" lag "$mnt/$1" --json | t python3 -c '
import json, sys
print(sum(g["lag"] for g in json.load(sys.stdin)["groups"] if g["group"] == sys.argv[1]))' "$2"
}
has_reader() {
    t "$TOPICFS" lag "$mnt/$1" --json | t python3 -c '
import json, sys
groups = [g for g in json.load(sys.stdin)["groups"] if g["group"] == sys.argv[1]]
sys.exit(not any(p["has_reader"] for g in groups for p in g["partitions"]))' "$2"
}
has_no_reader() { ! has_reader "$@"; }
is_sealed() {
    t python3 -c '
import json, sys
partition = json.load(open(sys.argv[1]))["partitions"][0]
sys.exit(partition["sealed_position"] != partition["end_position"])' "$mnt/$1/.status"
}
has_lines() { [[ -e $2 && $(wc -l <"$2") -ge $1 ]]; }

start_mount
t mkdir "$mnt/t"
tsh 'touch "$mnt/t/1" && seq 0 249 >> "$mnt/t/0" && seq 1000 1249 >> "$mnt/t/1"'

say "batches of one partition, and what the command is told"
consume "$mnt/t" --group told --batch 100 --until-end -- bash -c '
    printf "%s %s %s %s %s " "$TOPICFS_TOPIC" "$TOPICFS_GROUP" "$TOPICFS_PARTITION" "$TOPICFS_OFFSET" "$TOPICFS_COUNT"
    tr "\n" ,; echo' >"$scratch/out"
t python3 - "$scratch/out" <<'P'
import sys
next_offset = [0, 0]
for line in open(sys.argv[1]):
    topic, group, partition, offset, count, records = line.split()
    partition, offset, count = int(partition), int(offset), int(count)
    assert (topic, group) == ("t", "told") and offset == next_offset[partition] and count <= 100, line
    assert records == "".join(f"{1000 * partition + n}," for n in range(offset, offset + count)), line
    next_offset[partition] += count
assert next_offset == [250, 250], next_offset
P
expect_equal 0 "$(lag t told)"

say "--max-messages, and the next run goes on there"
consume "$mnt/t/0" --group some --max-messages 7 --batch 3 -- "$scratch/worker" "$scratch/some"
expect_equal 7 "$(committed t/.groups/some/0.offset)"
expect_equal 0 "$(committed t/.groups/some/1.offset)"
consume "$mnt/t/0" --group some --max-messages 1 -- "$scratch/worker" "$scratch/some"
(cd "$mnt/t" && consume 0 --group some --until-end -- "$scratch/worker" "$scratch/some")
expect_same_file "$mnt/t/0" "$scratch/some"
consume "$mnt/t/0" --group some --until-end -- false || fail "with nothing to do it ended with $?"

say "--until-end waits a moment for what another reader has, and takes it when he goes"
t mkdir "$mnt/t/.groups/shared"
exec 7<"$mnt/t/.groups/shared/all+follow"
t head -c 100 <&7 >/dev/null
"$TOPICFS" consume "$mnt/t" --group shared --until-end -- "$scratch/worker" "$scratch/shared" 7<&- &
consumer=$!
wait_until 20 has_lines 1 "$scratch/shared"
kill -0 "$consumer" || fail "it has not waited"
exec 7<&-
wait "$consumer" || fail "ended with $?"
expect_equal 0 "$(lag t shared)"
sort -u "$scratch/shared" >"$scratch/sorted"
tsh 'sort "$mnt/t/"[01] > "$scratch/wanted"'
expect_same_file "$scratch/wanted" "$scratch/sorted"

say "a command that reads nothing, or a part"
consume "$mnt/t" --group lazy --until-end -- true
expect_equal 0 "$(lag t lazy)"
consume "$mnt/t/0" --group first --batch 250 --until-end -- head -n 1 >"$scratch/out"
expect_equal 0 "$(<"$scratch/out")"

say "a command that fails at first is run again"
cat >"$scratch/third_time" <<'W'
#!/bin/bash
echo >>"$1.runs"
[[ $(wc -l <"$1.runs") -ge 3 ]] && cat >>"$1"
W
chmod +x "$scratch/third_time"
consume "$mnt/t/1" --group third --batch 250 --retries 2 --until-end -- "$scratch/third_time" "$scratch/third"
expect_same_file "$mnt/t/1" "$scratch/third"
expect_equal 3 "$(wc -l <"$scratch/third.runs")"

say "one that fails for good ends it with 1, and nothing of the batch is committed"
expect_status 1 "$TOPICFS" consume "$mnt/t/0" --group bad --batch 10 --retries 4 -- \
    bash -c '[[ $TOPICFS_OFFSET -eq 0 ]] || exit 5'
# The first failure is said at once, some of those that follow, and the last.
t diff -u - "$scratch/err" <<'E' || fail "what it says"
topicfs: t/0, records 10 to 19: exit status 5, at attempt 1; trying again
topicfs: t/0, records 10 to 19: exit status 5, at attempt 2; trying again
topicfs: t/0, records 10 to 19: exit status 5, at attempt 4; trying again
topicfs: t/0, records 10 to 19: exit status 5, at attempt 5; not committed
E
expect_equal 10 "$(committed t/.groups/bad/0.offset)"
expect_refusal 1 'record 10: killed by signal SIGSEGV, at attempt 1;' \
    "$TOPICFS" consume "$mnt/t/0" --group bad --batch 1 --retries 0 -- bash -c 'kill -SEGV $$'
expect_refusal 2 'nonesuch: cannot run: No such file' "$TOPICFS" consume "$mnt/t/0" --group bad -- nonesuch
expect_refusal 2 'cannot run: Permission denied' "$TOPICFS" consume "$mnt/t/0" --group bad --dead-letter d -- "$mnt"
expect_equal 10 "$(committed t/.groups/bad/0.offset)"

say "one record in a hundred fails: all others are processed, those are dead letters"
t mkdir "$mnt/mixed"
tsh 'cd "$mnt/mixed" && touch 1 2 3 && for p in 0 1 2 3; do
    for n in {0..999}; do
        case $((n % 100)) in 37) echo "bad $p-$n" ;; *) echo "good $p-$n" ;; esac
    done >> $p
done'
consume "$mnt/mixed" --group g --retries 1 --dead-letter mixed-dead --until-end -- \
    "$scratch/worker" "$scratch/seen" 2>"$scratch/err"
tsh 'grep -hv bad "$mnt/mixed/"[0-3] | sort > "$scratch/wanted"; sort "$scratch/seen" > "$scratch/sorted"'
expect_same_file "$scratch/wanted" "$scratch/sorted"
expect_equal 40 "$(grep -c 'exit status 3, at attempt .*; now in mixed-dead' "$scratch/err")"
expect_equal 0 "$(lag mixed g)"
cat >"$scratch/check_dead.py" <<'P'
# check_dead.py FILE TIMES_MIN TIMES_MAX: each bad record is there so often.
import collections, datetime, json, sys
seen = collections.Counter()
for line in open(sys.argv[1]):
    letter = json.loads(line)
    partition, offset = letter["partition"], letter["offset"]
    assert letter["topic"] == "mixed" and letter["reason"] == "exit status 3" and letter["attempts"] >= 2, line
    assert letter["record"] == f"bad {partition}-{offset}" and offset % 100 == 37, line
    assert datetime.datetime.fromisoformat(letter["time"]).timestamp() * 1000 == letter["timestamp"], line
    seen[partition, offset] += 1
assert len(seen) == 40, len(seen)
assert all(int(sys.argv[2]) <= n <= int(sys.argv[3]) for n in seen.values()), seen
P
all_letters() { [[ $(t wc -l <"$mnt/$1/all") -ge $2 ]]; }
wait_until 20 all_letters mixed-dead 40
t python3 "$scratch/check_dead.py" "$mnt/mixed-dead/all" 1 1

say "the same, with consume killed at random"
RANDOM=${SEED:=$$}
say "seed $SEED"
: >"$scratch/killed"
kills=0
while true; do
    "$TOPICFS" consume "$mnt/mixed" --group killed --batch 20 --retries 1 --dead-letter "$mnt/killed-dead" --until-end -- \
        "$scratch/worker" "$scratch/killed" 2>>"$scratch/killed.err" &
    consumer=$!
    goal=$(($(wc -l <"$scratch/killed") + RANDOM % 700))
    while kill -0 "$consumer" 2>/dev/null && ! has_lines "$goal" "$scratch/killed"; do
        read -rt 0.00$((RANDOM % 9)) <> <(:) || true
    done
    kill -KILL "$consumer" 2>/dev/null && kills=$((kills + 1))
    status=0
    { wait "$consumer" || status=$?; } 2>/dev/null
    [[ $status -ne 0 ]] || break
    [[ $status -eq 137 ]] || fail "consume ended with $status: $(tail -n 1 "$scratch/killed.err")"
done
say "killed $kills times"
[[ $kills -ge 3 ]] || fail "it was killed only $kills times"
sort -u "$scratch/killed" >"$scratch/sorted"
expect_same_file "$scratch/wanted" "$scratch/sorted"
expect_equal 0 "$(lag mixed killed)"
wait_until 20 all_letters killed-dead 40
t python3 "$scratch/check_dead.py" "$mnt/killed-dead/all" 1 1000

say "records longer than a request, odd bytes, a delimiter of one's own"
t mkdir "$mnt/odd"
t python3 - "$mnt/odd/0" <<'P'
import os, sys
with open(sys.argv[1], "ab") as file:
    file.write(b"first\n" + b"x" * 3000000 + b"\n\n\xff\xfebad\n" + b"y" * 1500000 + b"bad\nlast\n")
P
consume "$mnt/odd" --group g --retries 0 --dead-letter odd-dead --until-end -- "$scratch/worker" "$scratch/odd" 2>/dev/null
wait_until 20 all_letters odd-dead 2
t python3 - "$scratch/odd" "$mnt/odd-dead/all" <<'P'
import base64, json, sys
assert open(sys.argv[1], "rb").read() == b"first\n" + b"x" * 3000000 + b"\n\nlast\n"
first, second = [json.loads(line) for line in open(sys.argv[2])]
assert base64.b64decode(first["record_base64"]) == b"\xff\xfebad" and first["offset"] == 3, first
assert second["record"] == "y" * 1500000 + "bad" and second["offset"] == 4
P
t mkdir "$mnt/nul"
tsh 'printf "\\\\0" > "$mnt/nul/.config/record.delimiter" && printf "a\nb\0c\0" >> "$mnt/nul/0"'
consume "$mnt/nul" --group g --batch 1 --max-messages 2 -- bash -c 'od -An -c | tr -d " "' >"$scratch/out"
expect_equal 'a\nb\0 c\0' "$(paste -sd' ' "$scratch/out")"

say "a dead letter that is too long for a line is refused, and nothing of it is written"
t mkdir "$mnt/big" "$mnt/big-dead"
t python3 - "$mnt/big/0" <<'P'
import sys
with open(sys.argv[1], "ab") as file:
    file.write(b"before\n" + b"x" * ((64 << 20) - 100) + b"\n")
P
for i in 1 2; do
    expect_refusal 2 'big/0, record 1: .*big-dead.* at most 67108864 bytes' \
        "$TOPICFS" consume "$mnt/big" --group g --batch 1 --retries 0 --dead-letter big-dead -- \
        bash -c '[[ $TOPICFS_OFFSET -eq 0 ]]'
    expect_equal 1 "$(committed big/.groups/g/0.offset)"
    expect_equal 0 "$(t stat -c %s "$mnt/big-dead/0")" "bytes of dead letters"
done

say "a backlog of one partition does not keep the others waiting"
t mkdir "$mnt/fair"
tsh 'touch "$mnt/fair/1" "$mnt/fair/2"; for p in 0 1 2; do seq -f "%0100g" 3000 >> "$mnt/fair/$p"; done'
for batch in 1 10 100; do
    consume "$mnt/fair" --group "fair-$batch" --batch "$batch" --max-messages $((batch * 12)) -- \
        bash -c 'echo "$TOPICFS_PARTITION $TOPICFS_COUNT"' >"$scratch/turns"
    t python3 - "$scratch/turns" "$batch" <<'P'
import sys
batch = int(sys.argv[2])
given = [0, 0, 0]
for line in open(sys.argv[1]):
    partition, count = map(int, line.split())
    given[partition] += count
    # The first read guesses how long records are.
    assert max(given) - min(given) <= 3 * batch, (batch, given)
assert sum(given) == 12 * batch, given
P
done
# And a batch is as large as it may be, whatever the records are like.
t mkdir "$mnt/wide"
t python3 - "$mnt/wide/0" <<'P'
import sys
with open(sys.argv[1], "ab") as file:
    file.write(b"".join(b"%06d" % n + b"x" * 5000 + b"\n" for n in range(2000)))
P
consume "$mnt/wide" --group g --batch 100 --until-end -- bash -c 'echo "$TOPICFS_COUNT"' >"$scratch/counts"
expect_equal 2000 "$(awk '{ n += $1 } END { print n }' "$scratch/counts")"
[[ $(grep -cx 100 "$scratch/counts") -ge 10 ]] || fail "batches are of $(sort -n "$scratch/counts" | uniq -c | paste -sd,)"

say "SIGTERM and SIGINT: the batch in hand is finished and committed"
mkfifo "$scratch/go"
cat >"$scratch/slow" <<'W'
#!/bin/bash
echo >>"$1/begun"
read -r <"$1/go"
cat >>"$1/finished"
W
chmod +x "$scratch/slow"
# begin_slow GROUP: a consumer of t/0 whose command waits for a line in $scratch/go.
begin_slow() {
    rm -f "$scratch/begun" "$scratch/finished"
    "$TOPICFS" consume "$mnt/t/0" --group "$1" --batch 10 -- "$scratch/slow" "$scratch" 2>"$scratch/err" &
    consumer=$!
    wait_until 20 has_lines 1 "$scratch/begun"
}
# A signal that is pending is no other one yet.
none_pending() { grep -qE '^ShdPnd:\s*0+$' "/proc/$consumer/status"; }
for signal in TERM INT; do
    # A shell without job control starts what is in the background with SIGINT ignored.
    [[ $signal == TERM ]] || set -m
    begin_slow "$signal"
    set +m
    kill "-$signal" "$consumer"
    wait_until 20 none_pending
    tsh 'echo > "$scratch/go"'
    wait "$consumer" || fail "ended with $? at SIG$signal"
    expect_equal "$(t head -n 10 "$mnt/t/0")" "$(<"$scratch/finished")"
    expect_equal 10 "$(committed "t/.groups/$signal/0.offset")"
    has_lines 2 "$scratch/begun" && fail "another batch was begun after SIG$signal"
done

say "a second one kills the command"
begin_slow second
kill "$consumer"
wait_until 20 none_pending
kill "$consumer"
status=0
wait "$consumer" || status=$?
expect_equal 1 "$status"
grep -q 'the command was killed' "$scratch/err" || fail "it says $(<"$scratch/err")"
[[ ! -e $scratch/finished ]] || fail "the command was not killed"
expect_equal 0 "$(committed t/.groups/second/0.offset)"

say "one that waits for records, or to try again, ends at once"
t mkdir -p "$mnt/idle/.groups/g"
tsh 'echo 50 > "$mnt/idle/.groups/g/.config/max.poll.interval.ms"'
"$TOPICFS" consume "$mnt/idle" --group g -- cat >"$scratch/idle" &
consumer=$!
wait_until 20 has_reader idle g
# Who waits is there: its partitions stay its own.
begin=$(date +%s%3N)
has_waited() { [[ $(date +%s%3N) -ge $((begin + 300)) ]]; }
wait_until 5 has_waited
has_reader idle g || fail "a reader that waits has lost its partition"
tsh 'echo one >> "$mnt/idle/0"'
wait_until 20 has_lines 1 "$scratch/idle"
kill "$consumer"
wait "$consumer" || fail "ended with $?"
expect_equal 1 "$(committed idle/.groups/g/0.offset)"
rm -f "$scratch/begun"
# stops_in_retries WHAT OPTION...: SIGTERM while a batch is tried again.
stops_in_retries() {
    rm -f "$scratch/begun"
    "$TOPICFS" consume "$mnt/idle" --group again --retries 1000000 "${@:2}" -- \
        bash -c 'echo >> "$0"; exit 1' "$scratch/begun" 2>"$scratch/err" &
    consumer=$!
    wait_until 20 has_lines 4 "$scratch/begun"
    kill "$consumer"
    status=0
    wait "$consumer" || status=$?
    expect_equal 1 "$status"
    expect_equal "topicfs: idle/0, record 0: stopped by a signal; $1" "$(tail -n 1 "$scratch/err")"
    expect_equal 0 "$(committed idle/.groups/again/0.offset)"
}
stops_in_retries 'not committed'
stops_in_retries 'not committed' --dead-letter idle-dead

say "the death of consume ends the command, and frees the partition"
begin_slow died
command=$(pgrep -P "$consumer")
kill -KILL "$consumer"
{ wait "$consumer" || true; } 2>/dev/null # bash says that it was killed
is_gone() { ! kill -0 "$command" 2>/dev/null; }
wait_until 20 is_gone
consume "$mnt/t/0" --group died --until-end -- true
expect_equal 250 "$(committed t/.groups/died/0.offset)"

say "several at once share the partitions: each record is for one of them"
t mkdir "$mnt/pool"
t touch "$mnt/pool/1" "$mnt/pool/2" "$mnt/pool/3"
consumers=()
for n in 1 2 3; do
    "$TOPICFS" consume "$mnt/pool" --group g --batch 5 -- bash -c 'sed "s/^/$0 /" >> "$1"' "$n" "$scratch/pool" &
    consumers+=($!)
done
tsh 'for n in {1..25}; do for p in 0 1 2 3; do printf "$p %s\n" {1..10} >> "$mnt/pool/$p"; done; done'
has_no_lag() { [[ $(lag "$@") -eq 0 ]]; }
wait_until 60 has_lines 1000 "$scratch/pool"
wait_until 20 has_no_lag pool g
tsh 'for p in 0 1 2 3; do echo "$p last" >> "$mnt/pool/$p"; done'
wait_until 60 has_lines 1004 "$scratch/pool"
kill "${consumers[@]}"
for consumer in "${consumers[@]}"; do
    wait "$consumer" || fail "ended with $?"
done
t python3 - "$scratch/pool" <<'P'
import collections, sys
given = collections.defaultdict(list)
for line in open(sys.argv[1]):
    worker, partition, record = line.split()
    given[partition].append(record)
assert len(given) == 4 and all(r == [str(n) for n in range(1, 11)] * 25 + ["last"] for r in given.values()), given
# By then each had come back, so the last ones were for all three.
workers = {line.split()[0] for line in open(sys.argv[1]).read().splitlines()[-4:]}
assert len(workers) == 3, f"the last records went to {workers}"
P

say "damaged records are left out, and said"
t mkdir "$mnt/damaged"
tsh 'cd "$mnt/damaged/.config" && echo none > compression.type && echo 4096 > seal.bytes && echo 1 > seal.ms'
for part in 1 2 3; do
    # In one write: else there may be many small batches.
    tsh 'seq -f "$1 %g" 1000 1999 > "$scratch/part"; cat "$scratch/part" >> "$mnt/damaged/0"' "$part"
    wait_until 20 is_sealed damaged
done
stop_mount
segment=$(find "$data/topics/damaged/0" -name '*.log*' | head -n 1)
t python3 - "$segment" <<'P'
import sys
with open(sys.argv[1], "r+b") as file:
    content = file.read()
    # One of these lies whole in a batch.
    file.seek(max(content.find(b"\n2 %d\n" % n) for n in (1500, 1501)))
    file.write(b"XX")
P
start_mount
g=$mnt/damaged/.groups/by_hand
t mkdir "$g"
# Who opens it anew meets the damage again; the log says where to go on.
for i in 1 2; do
    expect_errno EIO cat "$g/0"
done
behind=$(sed -n 's/.*; the next whole record behind the damage has offset \([0-9]*\)$/\1/p' "$log" | tail -n 1)
expect_equal 1000 "$(committed damaged/.groups/by_hand/0.offset)"
expect_equal 2000 "$(lag damaged by_hand)"
[[ $behind -gt 1000 && $behind -lt 3000 ]] || fail "the log says '$behind'"
tsh 'echo "$2" > "$1"' "$g/0.offset" "$behind"
for part in 1 2 3; do seq -f "$part %g" 1000 1999; done | tail -n +$((behind + 1)) >"$scratch/wanted"
tsh 'cat "$1" > "$2"' "$g/0" "$scratch/out"
expect_same_file "$scratch/wanted" "$scratch/out"
tsh 'echo earliest > "$1"' "$g/0.offset"
# The next read of the same open goes on behind it, and commits past it.
t python3 - "$g" "$scratch/wanted" <<'P'
import errno, os, sys
g, wanted = sys.argv[1:]
file = os.open(f"{g}/0", os.O_RDONLY)
errors = 0
got = b""
while True:
    try:
        some = os.read(file, 10000)
    except OSError as error:
        assert error.errno == errno.EIO, error
        errors += 1
        continue
    if not some:
        break
    got += some
assert errors == 1 and got.endswith(open(wanted, "rb").read()) and got.startswith(b"1 1000\n"), (errors, len(got))
assert open(f"{g}/0.offset").read() == "3000\n"
P
consume "$mnt/damaged" --group g --until-end -- "$scratch/worker" "$scratch/damaged" 2>"$scratch/err"
grep -q 'damaged records are left out' "$scratch/err" || fail "it says $(<"$scratch/err")"
expect_equal 0 "$(lag damaged g)"
t python3 - "$scratch/damaged" <<'P'
import sys
lines = open(sys.argv[1]).read().splitlines()
wanted = [f"{part} {n}" for part in (1, 2, 3) for n in range(1000, 2000)]
good = [line for line in lines if line in set(wanted)]
assert lines[:1000] == wanted[:1000] and lines[-1000:] == wanted[-1000:], len(lines)
assert good == sorted(set(good)) and 2000 < len(good) < 2999, len(good)
# Of the record that is cut by the end of the damage its rest may come: nobody can tell that it is none.
rest = [line for line in lines if line not in set(wanted)]
assert len(rest) <= 1 and all(any(one.endswith(line) for one in wanted[1000:2000]) for line in rest), rest
P

say "a partition that has a reader"
begin_slow busy
expect_refusal 1 'it has a reader' "$TOPICFS" consume "$mnt/t/0" --group busy -- true
kill "$consumer"
tsh 'echo > "$scratch/go"'
wait "$consumer" || fail "ended with $?"

say "a command that takes longer than max.poll.interval.ms"
t mkdir "$mnt/t/.groups/late"
tsh 'echo 100 > "$mnt/t/.groups/late/.config/max.poll.interval.ms"'
begin_slow late
wait_until 20 has_no_reader t late
tsh 'echo > "$scratch/go"'
status=0
wait "$consumer" || status=$?
expect_equal 2 "$status"
grep -q 'max.poll.interval.ms' "$scratch/err" || fail "it says $(<"$scratch/err")"
expect_equal 0 "$(committed t/.groups/late/0.offset)"

say "the topic goes"
t mkdir "$mnt/gone"
"$TOPICFS" consume "$mnt/gone" --group g -- true 2>"$scratch/err" &
consumer=$!
wait_until 20 has_reader gone g
expect_errno EBUSY rmdir "$mnt/gone"
kill "$consumer"
wait "$consumer" || fail "ended with $?"
wait_until 20 has_no_reader gone g
t rmdir "$mnt/gone"

say "wrong use"
refuses() { expect_refusal 2 "$1" "$TOPICFS" consume "${@:2}"; }
refuses '--group is missing' "$mnt/t" -- true
refuses 'COMMAND is missing' "$mnt/t" --group g
refuses 'is no number of at least 1' "$mnt/t" --group g --batch 0 -- true
refuses 'is no number of at least 0' "$mnt/t" --group g --retries x -- true
refuses 'is no number of at least 1' "$mnt/t" --group g --max-messages -1 -- true
refuses 'No such file' "$mnt/none" --group g -- true
refuses 'no topic of a mounted topicfs' "$scratch" --group g -- true
[[ ! -e $scratch/.groups ]] || fail "a directory was made elsewhere"
refuses 'neither topic nor partition' "$mnt/t/.status" --group g -- true
refuses 'no topic of a mounted topicfs' "$mnt" --group g -- true
refuses 'Invalid argument' "$mnt/t" --group .g -- true
refuses 'cannot take its dead letters' "$mnt/t" --group g --dead-letter t -- true
refuses 'cannot take its dead letters' "$mnt/t/0" --group g --dead-letter "$mnt/t/" -- true
refuses 'no topic of a mounted topicfs' "$mnt/t" --group g --dead-letter "$scratch/dead" -- true
[[ ! -e $scratch/dead ]] || fail "a directory was made elsewhere"
t mkdir "$mnt/bytes"
tsh 'echo none > "$mnt/bytes/.config/record.delimiter"'
refuses 'byte log' "$mnt/bytes" --group g -- true
refuses '--group is given twice' "$mnt/t" --group g --group h -- true
refuses 'cannot run: No such file' "$mnt/t" --group g --dead-letter made -- nonesuch
refuses 'cannot run: Permission denied' "$mnt/t" --group g --dead-letter made -- "$mnt"
refuses 'byte log' "$mnt/bytes/0" --group g --dead-letter made -- true
refuses 'bytes: a byte log .* takes no dead letters' "$mnt/t" --group g --dead-letter bytes -- true
for no_topic in "$mnt/t/0" "$mnt" "$mnt/t/.groups/told" "$scratch"; do
    refuses "$no_topic: no topic of a mounted topicfs" "$mnt/t" --group g --dead-letter "$no_topic" -- true
done
refuses 'Invalid argument' "$mnt/t" --group g --dead-letter 'no name' -- true
exec 7<"$mnt/t/.groups/told/0"
expect_refusal 1 'it has a reader' "$TOPICFS" consume "$mnt/t/0" --group told --dead-letter made -- true
exec 7<&-
for topic in t bytes; do
    expect_equal 0 "$(t "$TOPICFS" groups "$mnt/$topic" | awk '$2 == "g" || $2 == "h"' | wc -l)" "groups that wrong use has made"
done
[[ ! -e $mnt/made ]] || fail "a dead letter topic was made for a consume that was refused"
tsh 'echo none > "$mnt/.config/record.delimiter"'
refuses 'a byte log .* takes no dead letters' "$mnt/t" --group g --dead-letter made -- true
tsh 'printf "\\\\n" > "$mnt/.config/record.delimiter"'
[[ ! -e $mnt/made ]] || fail "a dead letter topic was made for a consume that was refused"
refuses '^topicfs: .*none: No such file or directory$' "$mnt/none" --group g -- true

say "a dead letter topic that is made is no more open than the topic"
mode_of() { t stat -c %a "$mnt/$1"; }
n=0
for wanted in "755 644 755" "750 640 750" "700 600 700" "777 644 755" "755 600 700" "750 644 750"; do
    read -r topic_mode partition_mode mode <<<"$wanted"
    n=$((n + 1))
    t mkdir "$mnt/m$n"
    tsh 'echo x >> "$1/0"; chmod "$2" "$1/0"; chmod "$3" "$1"' "$mnt/m$n" "$partition_mode" "$topic_mode"
    consume "$mnt/m$n" --group g --retries 0 --dead-letter "m$n-dead" --until-end -- false 2>/dev/null
    expect_equal "$mode" "$(mode_of "m$n-dead")" "the mode for $topic_mode with partitions of $partition_mode"
done
# Who gets its group is another one than the topic's.
t mkdir "$mnt/m0"
tsh 'echo x >> "$mnt/m0/0"; chgrp 5001 "$mnt/m0" "$mnt/m0/0"; chmod 640 "$mnt/m0/0"; chmod 750 "$mnt/m0"'
consume "$mnt/m0" --group g --retries 0 --dead-letter m0-dead --until-end -- false 2>/dev/null
expect_equal 700 "$(mode_of m0-dead)"

say "groups and lag of what is no topic"
for path in "$scratch" "$mnt/t/0" "$mnt/t/.groups/told" "$mnt/t/.status"; do
    for command in groups lag; do
        expect_refusal 2 "^topicfs: $path: neither topic nor mount of topicfs$" "$TOPICFS" "$command" "$path"
    done
done
expect_refusal 2 "^topicfs: $mnt/none: No such file or directory$" "$TOPICFS" lag "$mnt/none"
stop_mount
