#!/bin/bash
# More partitions than the daemon may have files open: all of them can be appended to and read, in turn.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
partitions=300
ulimit -n 200

expect_no_word_of_it() {
    if grep -E 'error|warning' "$log" | grep -F 'Too many open files' >"$scratch/said"; then
        fail "$(wc -l <"$scratch/said") lines in the log, the first: $(head -n 1 "$scratch/said")"
    fi
}
append_in_turn() { tsh 'for ((i = 0; i < $1; ++i)); do echo "$2 $i" >> "$mnt/many/$i"; done' "$partitions" "$1"; }
# What partition $1 holds after the rounds that follow.
expect_lines() {
    local i round
    for ((i = 0; i < partitions; ++i)); do
        for round in "$@"; do
            echo "$round $i"
        done
    done >"$scratch/wanted"
    tsh 'for ((i = 0; i < $1; ++i)); do cat "$mnt/many/$i"; done' "$partitions" >"$scratch/read"
    expect_same_file "$scratch/wanted" "$scratch/read"
}
all_is_sealed() { [[ $(t sed -n 's/.*"seal_lag_bytes": *\([0-9]*\).*/\1/p' "$mnt/many/.status" | sort -un) == 0 ]]; }

say "partitions are appended to in turn, each opened and closed"
start_mount
tsh 'echo 1 > "$mnt/.config/num.partitions"; mkdir "$mnt/many"; echo "$1" > "$mnt/many/.config/num.partitions"' "$partitions"
tsh 'echo 1000000 > "$mnt/many/.config/seal.ms"'
for round in one two three; do
    append_in_turn "$round"
done
expect_lines one two three

say "fsync finds what was closed meanwhile"
tsh 'for ((i = 0; i < $1; ++i)); do sync "$mnt/many/$i"; done' "$partitions"
t dd if=/dev/zero of="$mnt/many/7" bs=5 count=1 oflag=append conv=notrunc,fsync status=none
expect_equal 5 "$(t tr -dc '\0' <"$mnt/many/7" | wc -c)" "bytes with fsync"

say "they are sealed, and appended to again"
tsh 'echo 100 > "$mnt/many/.config/seal.ms"'
append_in_turn four
wait_until 60 all_is_sealed
append_in_turn five
expect_equal "five 299" "$(t tail -n 1 "$mnt/many/299")" "the last line"
expect_no_word_of_it

say "everything is there after a restart"
restart
expect_equal $((5 * partitions)) "$(tsh 'cat "$mnt"/many/[0-9]* | tr -d "\0" | wc -l')" "lines"
append_in_turn six
expect_equal $((6 * partitions)) "$(tsh 'cat "$mnt"/many/[0-9]* | tr -d "\0" | wc -l')" "lines"
kill_daemon
mount_over
expect_equal $((6 * partitions)) "$(tsh 'cat "$mnt"/many/[0-9]* | tr -d "\0" | wc -l')" "lines after the daemon's death"
expect_no_word_of_it
stop_mount
