#!/bin/bash
# dump, verify and cat, on a store that is whole, in use, and damaged.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3

json() { python3 -c "import json,sys; d=json.load(sys.stdin); print($1)"; }
# flip FILE BYTE: inverts the bits of one byte.
flip() {
    python3 - "$1" "$2" <<'PYTHON'
import sys
with open(sys.argv[1], 'r+b') as file:
    file.seek(int(sys.argv[2]))
    byte = file.read(1)[0]
    file.seek(int(sys.argv[2]))
    file.write(bytes([byte ^ 0xFF]))
PYTHON
}
verify_json() { expect_status "$1" "$TOPICFS" verify --json "$data"; }

start_mount
t mkdir "$mnt/orders"
tsh 'echo 65536 > "$mnt/orders/.config/seal.bytes"'
tsh 'for i in 1 2 3 4 5 6 7 8; do seq $((i * 100000)) $((i * 100000 + 20000)) | cat >> "$mnt/orders/0"; done'
t cp "$mnt/orders/0" "$scratch/wanted"

say "verify and cat beside the daemon"
expect_status 0 "$TOPICFS" cat "$data" orders/0
expect_same_file "$scratch/wanted" "$scratch/out"
expect_status 0 "$TOPICFS" verify "$data"
tsh 'for i in $(seq 40); do seq 20000 | cat >> "$mnt/orders/0"; done' &
writer=$!
for _ in 1 2 3 4 5; do
    expect_status 0 "$TOPICFS" verify "$data"
    expect_status 0 "$TOPICFS" cat "$data" orders/0
done
wait "$writer"
t cp "$mnt/orders/0" "$scratch/wanted"
stop_mount

say "verify of a store at rest"
expect_status 0 "$TOPICFS" verify "$data"
grep -q '^no damage' "$scratch/out" || fail "no closing line: $(cat "$scratch/out")"
verify_json 0
expect_equal "$(wc -l <"$scratch/wanted")" "$(json 'd["records"]' <"$scratch/out")" "records"
expect_equal "$(wc -c <"$scratch/wanted")" "$(json 'd["raw_bytes"]' <"$scratch/out")" "raw bytes"
expect_equal 0 "$(json 'd["notes"]' <"$scratch/out")" "notes"
expect_status 0 "$TOPICFS" cat "$data" orders/0
expect_same_file "$scratch/wanted" "$scratch/out"

say "dump of each kind of file"
partition=$data/topics/orders/0
segment=$(ls "$partition"/*.log.lz4 | head -n 1)
index=${segment%.log.lz4}.index
expect_status 0 "$TOPICFS" dump --json "$segment"
expect_equal segment "$(json 'd["kind"]' <"$scratch/out")" kind
batches=$(json 'len(d["batches"])' <"$scratch/out")
[[ $batches -ge 4 ]] || fail "only $batches batches"
second_at=$(json 'd["batches"][1]["at"]' <"$scratch/out")
second_to=$(json 'd["batches"][1]["to"]' <"$scratch/out")
second_from=$(json 'd["batches"][1]["base_position"]' <"$scratch/out")
second_raw=$(json 'd["batches"][1]["raw_bytes"]' <"$scratch/out")
expect_status 0 "$TOPICFS" dump "$segment"
expect_equal "$batches" "$(grep -c ' lz4 ' "$scratch/out")" "lines of the table"
expect_status 0 "$TOPICFS" dump --json "$index"
expect_equal "$batches" "$(json 'len(d["entries"])' <"$scratch/out")" "index entries"
expect_status 0 "$TOPICFS" dump "$partition/recovery"
for file in "$partition"/*.head "$partition"/*.times "$data/store" "$data/state" "$data/topics/orders/topic"; do
    expect_status 0 "$TOPICFS" dump "$file"
    expect_status 0 "$TOPICFS" dump --json "$file"
    json 'd["kind"]' <"$scratch/out" >/dev/null
done
cp "$segment" "$scratch/copy"
expect_status 0 "$TOPICFS" dump --json "$scratch/copy"
expect_equal segment "$(json 'd["kind"]' <"$scratch/out")" "kind of a copy with another name"
expect_refusal 2 'neither its name nor its content' "$TOPICFS" dump /etc/passwd
expect_refusal 2 'not a file' "$TOPICFS" dump "$partition"
expect_refusal 2 'No such file' "$TOPICFS" dump "$scratch/nowhere"

say "a flipped bit in a payload: place and extent, and the rest is read"
cp -a "$data" "$scratch/good"
flip "$segment" $(((second_at + second_to) / 2 + 100))
verify_json 1
expect_equal 1 "$(json 'd["damages"]' <"$scratch/out")" damages
expect_equal "$second_from" "$(json 'd["findings"][0]["positions"]["from"]' <"$scratch/out")" "damaged from"
expect_equal $((second_from + second_raw)) "$(json 'd["findings"][0]["positions"]["to"]' <"$scratch/out")" "damaged to"
expect_status 1 "$TOPICFS" verify "$data"
grep -q "^damage: topics/orders/0/.*bytes $second_at to $second_to" "$scratch/out" || fail "$(cat "$scratch/out")"
expect_status 1 "$TOPICFS" dump "$segment"
expect_equal 1 "$(grep -c DAMAGE "$scratch/out")" "damage in the table"
expect_status 1 "$TOPICFS" cat "$data" orders/0
grep -q "positions $second_from to $((second_from + second_raw))" "$scratch/err" || fail "$(cat "$scratch/err")"
python3 - "$scratch/wanted" "$second_from" "$second_raw" >"$scratch/wanted.rest" <<'PYTHON'
import sys
content = open(sys.argv[1], 'rb').read()
at, length = int(sys.argv[2]), int(sys.argv[3])
sys.stdout.buffer.write(content[:at] + content[at + length:])
PYTHON
expect_same_file "$scratch/wanted.rest" "$scratch/out"
restore() { rm -rf "$data" && cp -a "$scratch/good" "$data"; }
restore

say "a flipped bit in a header"
flip "$segment" $((second_at + 20))
verify_json 1
expect_equal "$second_from" "$(json 'd["findings"][0]["positions"]["from"]' <"$scratch/out")" "damaged from"
expect_status 1 "$TOPICFS" cat "$data" orders/0
expect_same_file "$scratch/wanted.rest" "$scratch/out"
restore

say "a flipped bit in an index"
flip "$index" 70
expect_status 1 "$TOPICFS" verify "$data"
grep -q '^damage: .*\.index: ' "$scratch/out" || fail "$(cat "$scratch/out")"
expect_status 1 "$TOPICFS" dump "$index"
expect_status 0 "$TOPICFS" cat "$data" orders/0
expect_same_file "$scratch/wanted" "$scratch/out"
restore

say "an index that is missing costs nothing"
rm "$index"
expect_status 0 "$TOPICFS" verify "$data"
grep -q '^note: .*rebuilds' "$scratch/out" || fail "$(cat "$scratch/out")"
restore

say "a segment that is missing, one that is cut, and damaged books"
rm "$segment"
expect_status 1 "$TOPICFS" verify "$data"
restore
truncate -s -10 "$segment"
expect_status 1 "$TOPICFS" verify "$data"
expect_status 1 "$TOPICFS" dump "$segment"
restore
flip "$data/topics/orders/topic" 30
expect_status 1 "$TOPICFS" verify "$data"
grep -q '^damage: topics/orders/topic: ' "$scratch/out" || fail "$(cat "$scratch/out")"
expect_status 1 "$TOPICFS" dump "$data/topics/orders/topic"
restore
flip "$partition/recovery" 40
flip "$partition/recovery" 4136
expect_status 1 "$TOPICFS" verify "$data"
restore

say "what does not belong is noted, links are not followed, nothing is written"
echo hello >"$data/letter.txt"
ln -s /etc "$data/topics/link"
touch "$partition/notes"
expect_status 0 "$TOPICFS" verify "$data"
expect_equal 3 "$(grep -c '^note: ' "$scratch/out")" "notes"
rm "$data/letter.txt" "$data/topics/link" "$partition/notes"
diff -r "$data" "$scratch/good" || fail "verify has changed something"

say "what cannot be checked or read is exit status 2"
mkdir "$scratch/empty"
expect_refusal 2 'no topicfs data directory' "$TOPICFS" verify "$scratch/empty"
expect_refusal 2 'No such file' "$TOPICFS" verify "$scratch/nowhere"
expect_status 2 "$TOPICFS" cat "$scratch/empty" orders/0
expect_status 2 "$TOPICFS" cat "$data" nothing/0
expect_status 2 "$TOPICFS" cat "$data" orders/7
expect_refusal 2 'TOPIC/N' "$TOPICFS" cat "$data" orders
expect_equal '' "$(ls -A "$scratch/empty")" "what lies in an empty directory"

say "cat to a reader that goes away is quiet"
"$TOPICFS" cat "$data" orders/0 2>"$scratch/err" | head -n 1 >/dev/null || true
[[ ! -s $scratch/err ]] || fail "stderr: $(cat "$scratch/err")"
