#!/bin/bash
# topicfs cat and topicfs verify beside a daemon that removes the oldest all the time: cat writes no wrong byte, and goes on at
# the log start where it was overtaken; verify finds no damage.
#
#   SECONDS_OF_READING   (default 12)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
state=$scratch/state
seconds_of_reading=${SECONDS_OF_READING:-12}

# set_up CODEC SEGMENT_BYTES
set_up() {
    tsh 'cd "$mnt/k/.config"; echo "$1" > compression.type; echo "$2" > segment.bytes' "$1" "$2"
}
removed_some() { (($(t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["partitions"][0]["start_offset"])' "$mnt/k/.status") > 0)); }
no_front() { ! head -c 4 "$segment" | cmp -s - <(printf '\x5d\x2a\x4d\x18'); }
has_front() { ! no_front; }
runs() { grep -q runs "$scratch/writer"; }
# No word of damage, and lines in order from one on, whole. Where some were removed meanwhile cat says so, and skips them.
check_cat() {
    local status=0
    t "$TOPICFS" cat "$data" k/0 >"$scratch/out" 2>"$scratch/err" || status=$?
    if grep -qi 'damage' "$scratch/err" || { [[ $status -ne 0 ]] && ! grep -q 'were removed before they were read' "$scratch/err"; }; then
        fail "cat ended with $status: $(cat "$scratch/err")"
    fi
    t python3 "$tests_directory/retention_log.py" lines "$scratch/out" "$((status != 0))" || fail "cat wrote something else"
    cats=$((cats + 1))
    overtaken=$((overtaken + (status != 0)))
}

start_mount
tsh 'echo 10 > "$mnt/.config/log.retention.check.interval.ms"'

say "cat that is held up while the front is given back goes on at the log start"
for codec in none lz4; do
    t mkdir "$mnt/held-$codec"
    tsh 'cd "$1/.config"; echo "$2" > compression.type; echo 1 > seal.ms; echo 10 > file.delete.delay.ms; echo 50000 > seal.bytes
        seq -f "%.0f of a log that is read by one who is slow" 200000 >> "$1/0"' "$mnt/held-$codec" "$codec"
    segment=$data/topics/held-$codec/0/00000000000000000000.log.lz4
    wait_until 20 test -s "$segment"
    mkfifo "$scratch/pipe"
    timeout 60 "$TOPICFS" cat "$data" "held-$codec/0" >"$scratch/pipe" 2>"$scratch/err" &
    cat=$!
    exec 5<"$scratch/pipe"
    IFS= read -r -u 5 first # cat writes: what the pipe and its buffer do not hold it has not read yet
    expect_equal "1 of a log that is read by one who is slow" "$first"
    expect_status 0 "$TOPICFS" trim "$mnt/held-$codec/0" --to 150000
    wait_until 20 has_front
    { printf '%s\n' "$first"; t cat <&5; } >"$scratch/out"
    exec 5<&-
    rm "$scratch/pipe"
    status=0
    wait "$cat" || status=$?
    expect_equal 1 "$status" "cat's exit status"
    grep -q 'were removed before they were read' "$scratch/err" || fail "cat does not say what it left out: $(cat "$scratch/err")"
    grep -qi damage "$scratch/err" && fail "cat speaks of damage: $(cat "$scratch/err")"
    # The first of these stands behind a line that was cut.
    t tail -n 49999 "$scratch/out" | cmp - <(seq -f "%.0f of a log that is read by one who is slow" 150002 200000) ||
        fail "what comes from the log start on is something else"
    expect_equal 1 "$(grep -c '150001 of a log that is read by one who is slow$' "$scratch/out")" "the first at the log start"
done

say "cat and verify, again and again, while it goes on"
t mkdir "$mnt/k"
tsh 'cd "$mnt/k/.config"; echo 3000 > seal.bytes; echo 5 > seal.ms; echo 1 > file.delete.delay.ms; echo 60000 > retention.bytes'
cats=0 verifies=0 overtaken=0
for settings in "none 4096" "none 40000" "lz4 20000" "none 1000000" "zstd 1000000"; do
    # shellcheck disable=SC2086 # two words
    set_up $settings
    : >"$scratch/writer"
    timeout --kill-after=60 100 python3 "$tests_directory/retention_log.py" run "$mnt/k/0" "$state" "$TOPICFS" 1 1 \
        >"$scratch/writer" 2>&1 &
    writer=$!
    wait_until 20 runs
    wait_until 20 removed_some
    end=$((SECONDS + (seconds_of_reading + 4) / 5))
    while ((SECONDS <= end)); do
        check_cat
        expect_status 0 "$TOPICFS" verify "$data"
        verifies=$((verifies + 1))
    done
    kill -TERM "$writer" 2>/dev/null || true
    wait "$writer" || fail "the writer: $(cat "$scratch/writer")"
done
say "$cats times cat, $overtaken of them overtaken; $verifies times verify"
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
