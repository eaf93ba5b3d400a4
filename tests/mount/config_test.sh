#!/bin/bash
# topicfs config: settings are listed, printed and changed, all or none; units; a change of the codec.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3 lz4 zstdcat setpriv
export LC_ALL=C

config() { t "$TOPICFS" config "$@"; }
refuses() { expect_refusal 2 "$1" "$TOPICFS" config "${@:2}"; }
# has PATH KEY VALUE: by the file and by the command.
has() {
    expect_equal "$3" "$(t cat "$1/.config/$2")" "the file $2"
    expect_equal "$3" "$(config "$1" "$2")" "config $2"
}

start_mount
t mkdir "$mnt/t" "$mnt/t/.groups/g"

say "every setting is listed with value, default, range and meaning, and each is one of the mount's"
for path in "$mnt" "$mnt/t" "$mnt/t/.groups/g"; do
    config "$path" --json >"$scratch/json"
    config "$path" >"$scratch/table"
    t python3 - "$scratch/json" "$scratch/table" "$path/.config" <<'P'
import json, os, sys
settings = json.load(open(sys.argv[1]))["settings"]
table = open(sys.argv[2]).read()
assert sorted(s["key"] for s in settings) == sorted(os.listdir(sys.argv[3])), settings
for setting in settings:
    value = open(os.path.join(sys.argv[3], setting["key"])).read()
    assert value == setting["value"] + "\n", setting
    assert setting["range"] and setting["meaning"].endswith("."), setting
    row = [line for line in table.splitlines() if line.split() and line.split()[0] == setting["key"]]
    assert row and row[0].split()[1:3] == [setting["value"], setting["default"]], (setting, row)
assert max(map(len, table.splitlines())) <= 120
P
done
of() { config "$1" --json | t python3 -c 'import json, sys; print(*sorted({s["of"] for s in json.load(sys.stdin)["settings"]}))'; }
expect_equal 'new topics store' "$(of "$mnt")"
expect_equal topic "$(of "$mnt/t")"
expect_equal group "$(of "$mnt/t/.groups/g")"
grep -q '^Of the store:$' <(config "$mnt") || fail "no heading of the store"
expect_equal 604800000 "$(config "$mnt/t/" retention.ms --json |
    t python3 -c 'import json, sys; print(json.load(sys.stdin)["default"])')"

say "a time and a size may have a unit, here and in the file, and are shown in base units"
printf 'SETTING        BEFORE      AFTER\nretention.ms   604800000   3600000\nsegment.bytes  1073741824  67108864\n' >"$scratch/expected"
config "$mnt/t" retention.ms=1h segment.bytes=64MiB >"$scratch/out"
expect_same_file "$scratch/expected" "$scratch/out"
has "$mnt/t" retention.ms 3600000
has "$mnt/t" segment.bytes 67108864
tsh 'echo 90s > "$mnt/t/.config/seal.ms" && echo 64K > "$mnt/t/.config/seal.bytes"'
has "$mnt/t" seal.ms 90000
has "$mnt/t" seal.bytes 65536
config "$mnt" store.bytes.max=1TiB offsets.retention.minutes=1d disk.pressure=delete num.partitions=2 --json >"$scratch/json"
expect_equal '{"key": "store.bytes.max", "before": "off", "after": "1099511627776"}' "$(
    t python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["settings"][0]))' <"$scratch/json")"
has "$mnt" offsets.retention.minutes 1440
has "$mnt" disk.pressure delete
has "$mnt" num.partitions 2
has "$mnt/t" num.partitions 1
config "$mnt/t/.groups/g" auto.offset.reset=latest max.poll.interval.ms=5m >/dev/null
has "$mnt/t/.groups/g" max.poll.interval.ms 300000
config "$mnt/t" 'key.separator==' retention.ms=-1 >/dev/null
has "$mnt/t" key.separator =
has "$mnt/t" retention.ms -1

say "where the file says EINVAL only, the command says why"
expect_errno EINVAL bash -c "echo soon > '$mnt/t/.config/retention.ms'"
refuses "/t: retention.ms: 'soon' is no time; it takes -1 .*milliseconds, also as 500ms, 90s" "$mnt/t" retention.ms=soon
refuses "segment.bytes: '1KiB' is out of range; it takes 4096 to 2147483647 bytes" "$mnt/t" segment.bytes=1KiB
refuses "disk.pressure: 'wait' is not allowed; it takes refuse or delete" "$mnt" disk.pressure=wait
refuses "'90s' is no whole number of minutes" "$mnt" offsets.retention.minutes=90s
refuses "fetch.min.bytes: '0' is out of range" "$mnt/t/.groups/g" fetch.min.bytes=0
tsh 'echo 3 > "$mnt/t/.config/num.partitions" && echo x >> "$mnt/t/0"'
refuses 'num.partitions: the topic has 3 partitions' "$mnt/t" num.partitions=2
refuses 'record.delimiter: the topic has records already' "$mnt/t" record.delimiter=none
refuses 'longer than any value can be' "$mnt/t" "key.separator=$(printf '%05000d' 1)"

say "one that is refused leaves all as they were"
refuses 'num.partitions: the topic has 3 partitions' "$mnt/t" seal.ms=1s num.partitions=2
refuses "compression.type: 'gzip' is not allowed" "$mnt/t" seal.ms=1s compression.type=gzip seal.bytes=1MiB
refuses "it has no setting 'no.such'" "$mnt/t" seal.ms=1s no.such=1
has "$mnt/t" seal.ms 90000
chmod 755 "$scratch"
t chmod 600 "$mnt/t"
expect_refusal 2 'Permission denied' setpriv --reuid 5001 --regid 5001 --clear-groups "$TOPICFS" config "$mnt/t"
t chmod 755 "$mnt/t"
expect_refusal 2 'seal.ms: Permission denied' setpriv --reuid 5001 --regid 5001 --clear-groups "$TOPICFS" config "$mnt/t" seal.ms=1s
expect_status 0 setpriv --reuid 5001 --regid 5001 --clear-groups "$TOPICFS" config "$mnt/t" seal.ms
has "$mnt/t" seal.ms 90000

say "wrong use"
refuses "it has no setting 'no.such'" "$mnt/t" no.such
refuses "it has no setting 'disk.pressure'" "$mnt/t" disk.pressure=delete
refuses "'seal.ms' is not KEY=VALUE" "$mnt/t" seal.ms seal.bytes
refuses "'=1' is not KEY=VALUE" "$mnt/t" =1
refuses "'seal.ms' is given twice" "$mnt/t" seal.ms=1 seal.ms=2
refuses 'PATH is missing'
refuses 'No such file' "$mnt/none"
refuses 'neither a topic nor a group nor the root of a mounted topicfs' "$mnt/t/0"
refuses 'neither a topic nor a group nor the root of a mounted topicfs' "$mnt/t/.groups"
refuses 'neither a topic nor a group nor the root of a mounted topicfs' "$data"
mkdir -p "$scratch/like/.config" && echo 1 | tee "$scratch/like/.config/num.partitions" >"$scratch/like/.config/seal.ms"
refuses 'neither a topic nor a group nor the root of a mounted topicfs' "$scratch/like" seal.ms=5
expect_equal 1 "$(<"$scratch/like/.config/seal.ms")"

say "a change of the codec begins a new segment, which the stock tool of its own reads"
t mkdir "$mnt/c"
sealed_is() { expect_status 0 "$TOPICFS" describe "$mnt/c" --json && grep -q "\"seal_lag_bytes\": 0" "$scratch/out"; }
config "$mnt/c" seal.ms=1ms compression.type=lz4 >/dev/null
tsh 'seq 1 100 >> "$mnt/c/0"'
wait_until 20 sealed_is
config "$mnt/c" compression.type=zstd >/dev/null
tsh 'seq 101 200 >> "$mnt/c/0"'
wait_until 20 sealed_is
config "$mnt/c" compression.type=none >/dev/null
tsh 'seq 201 300 >> "$mnt/c/0"'
wait_until 20 sealed_is
seq 300 >"$scratch/expected"
t cat "$mnt/c/0" >"$scratch/out"
expect_same_file "$scratch/expected" "$scratch/out"
stop_mount
segments=("$data"/topics/c/0/*.log.*)
expect_equal 3 "${#segments[@]}" "segments of c"
for segment in "${segments[@]}"; do
    case $segment in
        *.lz4) lz4 -dc "$segment" ;;
        *.zst) zstdcat "$segment" ;;
    esac
done >"$scratch/out"
expect_same_file "$scratch/expected" "$scratch/out"

say "settings are kept over a restart"
start_mount
has "$mnt/t" retention.ms -1
has "$mnt/t" segment.bytes 67108864
has "$mnt" store.bytes.max 1099511627776
has "$mnt" disk.pressure delete
has "$mnt" trash.retention.ms 86400000
has "$mnt/t/.groups/g" max.poll.interval.ms 300000
config "$mnt" disk.free.min=5GB >/dev/null
has "$mnt" disk.free.min 5000000000
config "$mnt" disk.free.min=auto >/dev/null
has "$mnt" disk.free.min auto
stop_mount

say "a mount for reading only is shown, and refuses to be changed"
start_mount -o ro
has "$mnt/t" retention.ms -1
refuses 'Read-only file system' "$mnt/t" seal.ms=1s
stop_mount
