#!/bin/bash
# Four writers append numbered lines of all sizes to one partition while others follow it: every line is there once,
# whole, in each writer's order, in the partition and at each follower; after a kill -9 too.
#
#   LINES    a writer's lines (default 25)      ROUNDS   (default 2)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
line_writer=$(helper line_writer)
line_checker=$(helper line_checker)
lines=${LINES:-25}
line_bytes_max=3145728
file=$mnt/lines/0
writers=(a b c d)

# append_all SEED: starts the writers; what each has done goes to $scratch/SEED.LETTER.
append_all() {
    local letter
    writer_jobs=()
    for letter in "${writers[@]}"; do
        timeout 600 "$line_writer" "$file" "$letter" "$1" "$line_bytes_max" "$lines" >"$scratch/$1.$letter" &
        writer_jobs+=("$!")
    done
}
# all_written SEED: waits for the writers, and sees that each has written all.
all_written() {
    local job letter
    for job in "${writer_jobs[@]}"; do
        wait "$job" || fail "a writer ended with $?"
    done
    for letter in "${writers[@]}"; do
        expect_equal "$lines 0 0" "$(cat "$scratch/$1.$letter")" "what writer $letter has written"
    done
}
# check_lines FILE FROM SEED
check_lines() {
    local letter wanted=()
    for letter in "${writers[@]}"; do wanted+=("$letter:$3:$lines:0:0"); done
    seconds_max=300 t "$line_checker" "$1" "$2" "$line_bytes_max" "${wanted[@]}" >"$scratch/checked" ||
        fail "$1: $(cat "$scratch/checked")"
    say "$(cat "$scratch/checked")"
}
caught_up() { # NAME...
    local name size
    size=$(t stat -c %s "$file")
    for name in "$@"; do
        [[ $(stat -c %s "$scratch/$name") -eq $size ]] || return 1
    done
}

start_mount
t mkdir "$mnt/lines"
t touch "$file"
for ((round = 1; round <= ${ROUNDS:-2}; ++round)); do
    size_before=$(t stat -c %s "$file")
    say "round $round: four writers, two followers"
    timeout 900 tail -c +1 -s 0.02 -f "$file" >"$scratch/follower1" 2>/dev/null &
    timeout 900 tail -c +1 -F "$file" >"$scratch/follower2" 2>/dev/null &
    append_all "$round"
    all_written "$round"
    check_lines "$file" "$size_before" "$round"
    wait_until 60 caught_up follower1 follower2
    expect_same_file "$scratch/follower1" "$file"
    expect_same_file "$scratch/follower2" "$file"
    check_lines "$scratch/follower1" "$size_before" "$round"
    say "and after a kill -9"
    kill_daemon
    mount_over
    expect_same_file "$scratch/follower1" "$file"
    check_lines "$file" "$size_before" "$round"
    for job in $(jobs -p); do
        kill "$job" 2>/dev/null || true
    done
    wait
done
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
