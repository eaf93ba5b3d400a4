#!/bin/bash
# topicfs create, list and describe.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3 setpriv unshare
export LC_ALL=C

create() { t "$TOPICFS" create "$@"; }
refuses() { expect_refusal 2 "$1" "$TOPICFS" create "${@:2}"; }
squeezed() { "$@" | sed 's/^ *//; s/  */ /g'; }
partitions() { t ls "$mnt/$1" | wc -l; }

start_mount
expect_equal 'TOPIC PARTITIONS RECORDS BYTES DISK' "$(squeezed t "$TOPICFS" list "$mnt")"

say "a topic is made with partitions and settings"
create "$mnt/plain"
expect_equal 1 "$(partitions plain)"
create "$mnt/orders/" --partitions 3 --config retention.ms=1h -c 'record.delimiter=\0' -c 'key.separator=='
expect_equal 3 "$(partitions orders)"
expect_equal '3600000 \0 = 3' "$(cd "$mnt/orders/.config" &&
    t cat retention.ms record.delimiter key.separator num.partitions | paste -sd ' ')"
(cd "$mnt" && create here -p 2 && create ./there -c num.partitions=4)
expect_equal 2 "$(partitions here)"
expect_equal 4 "$(partitions there)"
(umask 027 && create "$mnt/masked")
expect_equal 750 "$(t stat -c %a "$mnt/masked")"

say "fewer partitions than new topics have otherwise"
tsh 'echo 5 > "$mnt/.config/num.partitions"'
create "$mnt/few" -p 1
expect_equal 1 "$(partitions few)"
create "$mnt/usual" -c seal.ms=1s
expect_equal 5 "$(partitions usual)"
tsh 'echo 1 > "$mnt/.config/num.partitions"'

say "what is wrong makes no topic"
names=$(t ls "$mnt")
refuses "/bad: retention.ms: 'soon' is no time; it takes -1" "$mnt/bad" -p 3 -c seal.ms=1s -c retention.ms=soon
refuses "num.partitions: '0' is out of range; it takes 1 to 100000" "$mnt/bad" -p 0
refuses "num.partitions: 'x' is no whole number" "$mnt/bad" -p x
refuses 'no.such: there is no such setting' "$mnt/bad" -c no.such=1
refuses 'disk.pressure: there is no such setting' "$mnt/bad" -c disk.pressure=delete
refuses "'seal.ms' is not KEY=VALUE" "$mnt/bad" -c seal.ms
refuses "'num.partitions' is given twice" "$mnt/bad" -p 3 -c num.partitions=4
refuses "'seal.ms' is given twice" "$mnt/bad" -c seal.ms=1 -c seal.ms=1
refuses 'a value has no line break' "$mnt/bad" -c "seal.ms=1
num.partitions=7"
refuses "/b ad: a topic's name is made of" "$mnt/b ad"
refuses "a topic's name" "$mnt/.bad"
refuses 'File exists' "$mnt/orders" -p 7
refuses 'too long' "$mnt/$(printf '%0300d' 1)"
refuses 'orders: no root of a mounted topicfs' "$mnt/orders/sub"
refuses 'no root of a mounted topicfs' "$scratch/sub"
refuses 'No such file' "$mnt/none/sub"
refuses 'PATH is missing'
expect_equal "$names" "$(t ls "$mnt")" "topics"
expect_equal 3 "$(partitions orders)"
[[ ! -e $scratch/sub ]] || fail "a directory was made where no mount is"
t mkdir "$mnt/bad" # the settings of what was refused count for nobody
expect_equal 1 "$(partitions bad)"

say "who may not make a directory there makes no topic"
chmod 755 "$scratch"
alice=(setpriv --reuid 5001 --regid 6001 --clear-groups)
expect_refusal 2 '/mine: Permission denied' "${alice[@]}" "$TOPICFS" create "$mnt/mine" -p 2
t chmod 1777 "$mnt"
expect_status 0 "${alice[@]}" "$TOPICFS" create "$mnt/mine" -p 2
expect_equal '5001 6001' "$(t stat -c '%u %g' "$mnt/mine")"
expect_equal 2 "$(partitions mine)"

say "from another pid namespace, too"
t unshare --pid --fork "$TOPICFS" create "$mnt/inside" -p 3
expect_equal 3 "$(partitions inside)"

say "what was made is kept over the death of the daemon"
create "$mnt/kept" -p 2 -c seal.ms=1s
kill_daemon
mount_over
expect_equal 2 "$(partitions kept)"
expect_equal 1000 "$(t cat "$mnt/kept/.config/seal.ms")"

say "list"
(cd "$mnt" && t rmdir bad few here inside kept masked mine plain there usual)
tsh 'printf "a\0b\0" >> "$mnt/orders/0"; printf "c\0" >> "$mnt/orders/2"; mkdir "$mnt/audit"; seq 100 >> "$mnt/audit/0"'
squeezed t "$TOPICFS" list "$mnt" >"$scratch/out"
expect_equal 'TOPIC PARTITIONS RECORDS BYTES DISK
audit 1 100 292 B
orders 3 3 6 B' "$(cut -d ' ' -f 1-5 "$scratch/out" | sed 's/ [0-9.]*$//')"
t "$TOPICFS" list "$mnt/" --json >"$scratch/list"

say "describe"
t mkdir "$mnt/orders/.groups/billing"
t "$TOPICFS" describe "$mnt/orders" --json >"$scratch/describe"
t python3 - "$scratch/list" "$scratch/describe" "$mnt" <<'P'
import json, os, sys
listed, described = [json.load(open(name)) for name in sys.argv[1:3]]
status = json.load(open(os.path.join(sys.argv[3], ".status")))
orders = json.load(open(os.path.join(sys.argv[3], "orders", ".status")))
sums = ["records", "raw_bytes", "stored_bytes", "disk_bytes"]
assert [t["topic"] for t in listed["topics"]] == ["audit", "orders"], listed
for got, wanted in [(listed, status)] + list(zip(listed["topics"], status["topics"])):
    assert [got[s] for s in sums[:2]] == [wanted[s] for s in sums[:2]], (got, wanted)
assert (listed["topics"][1]["partitions"], listed["topics"][1]["records"]) == (3, 3), listed
assert described["topic"] == "orders" and described["records"] == 3 and len(described["partitions"]) == 3, described
for got, wanted in zip(described["partitions"], orders["partitions"]):
    for key in ["partition", "start_offset", "end_offset", "start_position", "end_position", "raw_bytes",
                "last_append_ms"]:
        assert got[key] == wanted[key], (key, got, wanted)
    assert got["damaged"] == 0 and "failed" not in got, got
assert described["partitions"][0]["end_offset"] == 2 and described["partitions"][2]["end_position"] == 2, described
changed = {s["key"]: (s["value"], s["default"]) for s in described["settings"]}
changed.pop("write.path", None)  # where the test is run for one
assert changed == {"num.partitions": ("3", "1"), "record.delimiter": ("\\0", "\\n"), "key.separator": ("=", "off"),
                   "retention.ms": ("3600000", "604800000")}, changed
assert described["groups"] == [{"group": "billing", "lag": 3, "missed": 0, "readers": 0}], described
P
squeezed t "$TOPICFS" describe "$mnt/orders" >"$scratch/out"
grep -q '^PARTITION START END START-POSITION END-POSITION BYTES STORED UNSEALED SEGMENTS DISK$' "$scratch/out" || fail "no titles"
grep -q '^0 0 2 0 4 4 B ' "$scratch/out" || fail "partition 0: $(cat "$scratch/out")"
grep -q '^retention.ms 3600000 604800000$' "$scratch/out" || fail "no setting: $(cat "$scratch/out")"
grep -q '^billing 3 0 0$' "$scratch/out" || fail "no group: $(cat "$scratch/out")"
squeezed t "$TOPICFS" describe "$mnt/audit" >"$scratch/out"
grep -q '^GROUP' "$scratch/out" && fail "a table of groups where there is none"

say "wrong use"
expect_refusal 2 'it is a topic, and no root' "$TOPICFS" list "$mnt/orders"
expect_refusal 2 'it is the root of a mount' "$TOPICFS" describe "$mnt"
expect_refusal 2 'No such file' "$TOPICFS" describe "$mnt/none"
expect_refusal 2 'neither topic nor mount' "$TOPICFS" list "$data"
echo '{}' >"$scratch/.status"
expect_refusal 2 'neither topic nor mount' "$TOPICFS" list "$scratch"
expect_refusal 2 'neither topic nor mount' "$TOPICFS" describe "$scratch"
stop_mount
