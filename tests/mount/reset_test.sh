#!/bin/bash
# topicfs reset, lag and groups.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C TZ=UTC

reset() { t "$TOPICFS" reset "$@"; }
# squeezed COMMAND...: its output, with one space between two words.
squeezed() { "$@" | sed 's/^ *//; s/  */ /g'; }
# has PARTITION COMMITTED: of group g in topic t.
has() { expect_equal "$2" "$(t cat "$mnt/t/.groups/g/$1.offset")" "what is committed in $1"; }
refuses() { expect_refusal 2 "$1" "$TOPICFS" reset "${@:2}"; }

start_mount
expect_equal 'TOPIC GROUP PARTITIONS READERS LAG' "$(squeezed t "$TOPICFS" groups "$mnt")"
t mkdir "$mnt/t"
tsh 'touch "$mnt/t/1" && seq 100 >> "$mnt/t/0" && seq 50 >> "$mnt/t/1" && mkdir "$mnt/t/.groups/g" "$mnt/t/.groups/other"'
t mkdir "$mnt/u" "$mnt/u/.groups/g"
t "$TOPICFS" consume "$mnt/t" --group g --until-end -- true

say "tables of groups and of lag"
tsh 'seq 7 >> "$mnt/t/1"'
printf 'TOPIC GROUP PARTITIONS READERS LAG\nt g 2 0 7\nt other 2 0 157\n' >"$scratch/expected"
squeezed t "$TOPICFS" groups "$mnt/t" >"$scratch/out"
expect_same_file "$scratch/expected" "$scratch/out"
echo 'u g 1 0 0' >>"$scratch/expected"
squeezed t "$TOPICFS" groups "$mnt/" >"$scratch/out"
expect_same_file "$scratch/expected" "$scratch/out"
cat >"$scratch/expected" <<'T'
TOPIC GROUP PARTITION COMMITTED END LAG MISSED READER
t g 0 100 100 0 0 no
t g 1 50 57 7 0 no
t other 0 0 100 100 0 no
t other 1 0 57 57 0 no
T
squeezed t "$TOPICFS" lag "$mnt/t" >"$scratch/out"
expect_same_file "$scratch/expected" "$scratch/out"
t "$TOPICFS" lag "$mnt" --json >"$scratch/lag"
t "$TOPICFS" groups "$mnt/t" --json >"$scratch/groups"
t python3 - "$scratch/lag" "$scratch/groups" <<'P'
import json, sys
lag, groups = [json.load(open(name))["groups"] for name in sys.argv[1:]]
assert [(g["topic"], g["group"], g["lag"]) for g in lag] == [("t", "g", 7), ("t", "other", 157), ("u", "g", 0)], lag
assert lag[0]["partitions"][1] == {"partition": 1, "committed_offset": 50, "end_offset": 57, "lag": 7, "missed": 0,
                                   "has_reader": False}, lag
assert groups[0] == {"topic": "t", "group": "g", "lag": 7, "readers": 0, "partitions": 2}, groups
P

say "each way to say where to"
printf 'PARTITION BEFORE AFTER\n0 100 0\n1 50 0\n' >"$scratch/expected"
squeezed reset "$mnt/t/.groups/g" --to-earliest --dry-run >"$scratch/out"
expect_same_file "$scratch/expected" "$scratch/out"
has 0 100
has 1 50
squeezed reset "$mnt/t/.groups/g/" --to-earliest >"$scratch/out"
expect_same_file "$scratch/expected" "$scratch/out"
has 0 0
has 1 0
reset "$mnt/t/.groups/g" --to-latest >/dev/null
has 0 100
has 1 57
reset "$mnt/t/.groups/g/1" --to-offset 20 >/dev/null
has 0 100
has 1 20
reset "$mnt/t/.groups/g" --shift-by -10 >/dev/null
has 0 90
has 1 10
reset "$mnt/t/.groups/g/1.offset" --shift-by=+5 >/dev/null
has 1 15
(cd "$mnt/t/.groups/g" && reset . --shift-by 1 --json) >"$scratch/json"
t python3 - "$scratch/json" <<'P'
import json, sys
assert json.load(open(sys.argv[1])) == {"topic": "t", "group": "g", "dry_run": False, "partitions": [
    {"partition": 0, "before": 90, "after": 91}, {"partition": 1, "before": 15, "after": 16}]}
P
has 0 91

say "to a time"
moment_has_passed() { [[ $(date +%s%3N) -gt $((moment + 20)) ]]; }
moment=$(date +%s%3N)
wait_until 5 moment_has_passed
tsh 'echo late >> "$mnt/t/0"'
reset "$mnt/t/.groups/g" --to-datetime "ms$((moment + 15))" >/dev/null
has 0 100
has 1 57
reset "$mnt/t/.groups/g" --to-datetime 2020-01-01T00:00Z >/dev/null
has 0 0
reset "$mnt/t/.groups/g" --to-datetime -1d >/dev/null
has 1 0
reset "$mnt/t/.groups/g" --to-datetime 2999-01-01 >/dev/null
has 0 101

say "what cannot be read there changes nothing, in no partition"
reset "$mnt/t/.groups/g" --to-earliest >/dev/null
refuses '1.offset: no record can be read there; it has records 0 to before 57' "$mnt/t/.groups/g" --to-offset 60
refuses '0.offset: no record can be read there; it has records 0 to before 101' "$mnt/t/.groups/g/0" --to-offset 102
refuses 'no record can be read there' "$mnt/t/.groups/g" --shift-by -1
has 0 0
has 1 0

say "a partition with a reader"
exec 7<"$mnt/t/.groups/g/1"
expect_refusal 1 '1.offset: it has a reader' "$TOPICFS" reset "$mnt/t/.groups/g" --to-latest
expect_refusal 1 'it has a reader' "$TOPICFS" reset "$mnt/t/.groups/g/1" --to-latest --dry-run
has 0 0
grep -q '^t g 1 0 57 57 0 yes' <(squeezed t "$TOPICFS" lag "$mnt/t") || fail "lag does not show the reader"
grep -q '^t g 2 1 ' <(squeezed t "$TOPICFS" groups "$mnt/t") || fail "groups does not show the reader"
reset "$mnt/t/.groups/g/0" --to-latest >/dev/null
has 0 101
exec 7<&-
reset "$mnt/t/.groups/g" --to-latest >/dev/null
has 1 57

say "a group whose name is a number; one of many partitions"
t mkdir "$mnt/t/.groups/0"
reset "$mnt/t/.groups/0" --to-latest >/dev/null
expect_equal 101 "$(t cat "$mnt/t/.groups/0/0.offset")"
reset "$mnt/t/.groups/0/1" --to-earliest >/dev/null
expect_equal 0 "$(t cat "$mnt/t/.groups/0/1.offset")"
tsh 'echo 300 > "$mnt/u/.config/num.partitions"'
expect_equal 301 "$(reset "$mnt/u/.groups/g" --to-latest | wc -l)"

say "wrong use"
group=$mnt/t/.groups/g
refuses 'give one of' "$group"
refuses 'give one of' "$group" --to-earliest --to-latest
refuses 'give one of' "$group" --to-offset 1 --shift-by 1
refuses "'-1' is no offset" "$group" --to-offset -1
refuses "'1200' is no time" "$group" --to-datetime 1200
refuses "'start' is no time" "$group" --to-datetime start
refuses "'2026-13-01' is no time" "$group" --to-datetime 2026-13-01
refuses "'x' is no number of records" "$group" --shift-by x
refuses "'\+-1' is no number of records" "$group" --shift-by +-1
refuses 'No such file' "$mnt/t/.groups/none" --to-latest
refuses 'No such file' "$mnt/t/.groups/g/2" --to-latest
refuses 'neither TOPIC/.groups/GROUP' "$mnt/t" --to-latest
refuses 'neither TOPIC/.groups/GROUP' "$mnt/t/.groups" --to-latest
refuses 'neither TOPIC/.groups/GROUP' "$mnt/t/.groups/g/.config/auto.offset.reset" --to-latest
mkdir -p "$scratch/t/.groups/g" && echo 5 >"$scratch/t/.groups/g/0.offset"
refuses 'no group of a mounted topicfs' "$scratch/t/.groups/g" --to-latest
expect_equal 5 "$(<"$scratch/t/.groups/g/0.offset")"
expect_refusal 2 'neither topic nor mount' "$TOPICFS" lag "$scratch"
expect_refusal 2 'No such file' "$TOPICFS" groups "$mnt/none"
echo nonsense >"$scratch/.status"
expect_refusal 2 'neither topic nor mount' "$TOPICFS" lag "$scratch"
stop_mount
