#!/bin/bash
# `topicfs bench`: that it measures every row or says why not, and leaves nothing behind. What its figures say is not
# tested: they belong to the machine.
source "$(dirname "$0")/lib.sh"
need python3 pgrep
need_fuse

# Below our scratch folder, so that what is left is ours to find.
place=$scratch/place
mkdir "$place"
expect_nothing_left() {
    expect_equal "" "$(ls -A "$place")" "what is left in the folder"
    ! awk -v below="$place/" 'index($5, below) == 1 { found = 1 } END { exit !found }' /proc/self/mountinfo ||
        fail "a mount is left"
    expect_equal "" "$(processes_of "$place")" "the processes that are left"
}
# processes_of FOLDER: those of our program that have it among their arguments: the benchmark, its children, its daemons.
processes_of() { pgrep -d ' ' -f -- "$TOPICFS .*$1|^topicfs mount .*$1" || true; }

say "wrong use is one line and exit status 2, and makes nothing"
expect_refusal 2 "'speed' cannot be measured" "$TOPICFS" bench speed --dir "$place"
expect_refusal 2 "pairs '0' is not a number from 1" "$TOPICFS" bench --pairs 0 --dir "$place"
expect_refusal 2 "seconds 'soon' is not a number" "$TOPICFS" bench --seconds soon --dir "$place"
expect_refusal 2 "bytes '1T' is not a number of bytes" "$TOPICFS" bench --bytes 1T --dir "$place"
expect_refusal 2 "data '99999999G' is not" "$TOPICFS" bench --data 99999999G --dir "$place"
expect_refusal 2 'unrecognised option' "$TOPICFS" bench --fast
expect_refusal 2 'nowhere.*No such file' "$TOPICFS" bench --quick --dir "$scratch/nowhere"
expect_refusal 2 'nofile.*No such file' "$TOPICFS" bench --quick --dir "$place" --payload-file "$scratch/nofile"
: >"$scratch/empty"
expect_refusal 2 'no lines' "$TOPICFS" bench --quick --dir "$place" --payload-file "$scratch/empty"
expect_nothing_left

say "all rows are there, as text and as JSON"
rows='append.line.passthrough append.line.file append.line.follow append.line.daemon append.64k append.1m append.dsync
    append.fdatasync append.fdatasync.8 append.open_close append.partitions append.cold_reader append.seal.lz4
    append.seal.zstd append.disk.lz4 append.disk.zstd read.head read.none read.lz4 read.zstd follow.1k.p50 follow.1k.p99
    follow.10k.p50 follow.10k.p99 follow.50k.p50 follow.50k.p99 restart.growth restart.time lookup.offset lookup.time
    lookup.view_offset lookup.view_time
    consumers.none consumers.lz4 consumers.zstd group.128k group.1m partitions.memory partitions.idle.start partitions.idle.memory
    partitions.idle.descriptors'
expect_status 0 "$TOPICFS" bench --quick --dir "$place"
for row in $rows; do
    grep -qE "^${row//./\\.} " "$scratch/out" || fail "no row $row"
done
[[ ! -s $scratch/err ]] || fail "stderr: $(cat "$scratch/err")"
grep -qP '\x1b|\r' "$scratch/out" && fail "a progress line in a file"
expect_nothing_left

expect_status 0 "$TOPICFS" bench --quick --json --pairs 2 --dir "$place" all
rows=$rows t python3 - "$scratch/out" <<'PYTHON' || fail "the JSON is not as it should be: $(head -c 2000 "$scratch/out")"
import json, os, sys
result = json.load(open(sys.argv[1]))
assert result["pairs"] == 2 and result["cores"] >= 1
rows = {row["name"]: row for row in result["rows"]}
assert list(rows) == os.environ["rows"].split(), list(rows)
measured = 0
for row in rows.values():
    assert row["what"] and row["aim"], row
    if not row["measured"]:
        assert row["reason"], row
        continue
    measured += 1
    assert isinstance(row["aim_reached"], bool), row
    figures = row["ours"] if row["baseline"] is None else row["ratio"]
    assert figures["min"] <= figures["median"] <= figures["max"], row
    assert len(figures["each"]) == (1 if row["name"].startswith("append.disk") else 2), row
    assert row["name"] == "partitions.idle.descriptors" or row["ours"]["median"] != 0, row
assert measured >= 20 or os.geteuid() != 0, measured
PYTHON
expect_nothing_left

say "lines of a file are written in place of generated ones"
seq -f 'line %g of a file' 1000 >"$scratch/lines"
expect_status 0 "$TOPICFS" bench --quick append --payload-file "$scratch/lines" --dir "$place"
grep -q "lines of $scratch/lines" "$scratch/out" || fail "the header does not name the file"
expect_nothing_left

# Long enough that it is not over before it is interrupted.
start_long() {
    "$TOPICFS" bench "$1" --seconds 20 --pairs 50 --bytes 16M --data 10M --dir "$place" >"$scratch/long.out" \
        2>"$scratch/long.err" &
    long=$!
}
has_mount() { awk -v at="$(echo "$place"/topicfs-bench.*)/mnt" '$5 == at { found = 1 } END { exit !found }' \
    /proc/self/mountinfo; }
# has_client: besides the benchmark and the daemon there is a process that measures.
has_client() { has_mount && [[ $(pgrep -c -P "$long") -ge 2 ]]; }
for signal in INT TERM; do
    for what in append read; do
        say "nothing is left when $what is ended by SIG$signal"
        start_long "$what"
        wait_until 30 has_client
        kill "-$signal" "$long"
        status=0
        wait "$long" || status=$?
        expect_equal $((128 + $(kill -l "$signal"))) "$status" "the exit status"
        [[ ! -s $scratch/long.err ]] || fail "stderr: $(cat "$scratch/long.err")"
        expect_nothing_left
    done
done

say "a daemon that dies ends its row and not the benchmark, and nothing is left"
start_long read
wait_until 30 has_client
pgrep -P "$long" -f '^topicfs mount' | xargs kill -KILL
wait_until 30 grep -q '^read.head .*not measured' "$scratch/long.out"
kill -INT "$long"
wait "$long" || true
expect_nothing_left
