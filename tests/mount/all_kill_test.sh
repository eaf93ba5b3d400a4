#!/bin/bash
# The daemon is killed at random moments under eight writers of T/all whose buffers cut lines. Each of them goes on, once
# there is a daemon again, with the line whose write has failed. Afterwards each line is there once, and what a failed
# write has left in doubt at most once more: whole, or the front of it, with a delimiter. The front that was acknowledged
# of a line that was never ended is there, with a delimiter. No line holds another's bytes.
#
#   ROUNDS   (default 8)      SEED   of lengths, keys and moments (default: printed)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
export LC_ALL=C
rounds=${ROUNDS:-8}
seed=${SEED:-$RANDOM}
RANDOM=$seed
say "$rounds rounds; SEED=$seed"
all_lines="$tests_directory/all_lines.py"
lines=1000000 # more than there is time for

bytes_of() { t stat -c %s "$@" | awk '{ sum += $1 } END { print sum }'; }
all_is_settled() { [[ $(bytes_of "$mnt/$1/all") -eq $(bytes_of "$mnt/$1"/[0-9]*) ]]; }
nothing_is_unfinished() { [[ -z $(find "$data/topics/$1/unfinished" -type f 2>/dev/null) ]]; }
has_grown() { [[ $(bytes_of "$mnt/keys"/[0-9]*) -gt $1 ]]; }
# The dead mount goes when its last file is closed.
kill_and_mount() {
    kill_daemon
    mount_over
}

start_mount
tsh 'echo 3 > "$mnt/.config/num.partitions"; mkdir "$mnt/one" "$mnt/keys"; echo 1 > "$mnt/.config/num.partitions"'
tsh 'echo ";" > "$mnt/keys/.config/key.separator"'

say "an unfinished line outlives the daemon"
tsh 'echo whole >> "$mnt/one/all"'
exec 7>>"$mnt/one/all" 8>>"$mnt/one/all"
printf 'half' >&7
printf 'and a' >&8
printf 'nother half' >&8
kill_and_mount
if printf 'lost' >&7 2>/dev/null; then fail "a write to a dead daemon has succeeded"; fi
exec 7>&- 8>&-
for again in once twice; do
    nothing_is_unfinished one || fail "$again: something is unfinished still"
    wait_until 20 all_is_settled one
    expect_equal 'and another half half whole' "$(t sort "$mnt/one/all" | paste -sd ' ')" "lines after $again"
    kill_and_mount
done
tsh 'echo "whole again" >> "$mnt/one/all"'
wait_until 20 all_is_settled one
expect_equal 4 "$(t grep -c . "$mnt/one/all")" "lines"

say "eight writers"
writer_jobs=()
reports=()
buffers=(1 100 1000 4096 4096 8192 65536 300000)
i=0
for writer in a b c d e f g h; do
    timeout 300 "$all_lines" write "$mnt/keys/all" "$writer" "$seed" "$lines" 40 20000 "${buffers[i]}" 100 \
        "$scratch/report.$writer" "$scratch/stop" &
    writer_jobs+=("$!")
    i=$((i + 1))
    reports+=("$writer=$scratch/report.$writer")
done
for ((round = 1; round <= rounds; ++round)); do
    # Batches and segments small enough that the daemon dies while it seals, too.
    sizes=(4096 70000 1048576)
    tsh 'cd "$mnt/keys/.config"; echo "$1" > seal.bytes; echo "$2" > seal.ms' "${sizes[RANDOM % 3]}" $((RANDOM % 300 + 1))
    wait_until 30 has_grown "$(bytes_of "$mnt/keys"/[0-9]*)"
    # The moment of the kill is what this test is about: a random one within 200 ms.
    sleep "0.$(printf '%03d' $((RANDOM % 200)))"
    kill_and_mount
done
wait_until 30 has_grown "$(bytes_of "$mnt/keys"/[0-9]*)"
touch "$scratch/stop"
for job in "${writer_jobs[@]}"; do
    wait "$job" || fail "a writer ended with $?"
done
wait_until 30 nothing_is_unfinished keys
check() {
    wait_until 30 all_is_settled keys
    t cat "$mnt/keys/all" >"$scratch/all"
    seconds_max=300 t "$all_lines" check "$seed" 40 20000 100 key "$(printf '%s\n' "$mnt/keys"/[0-9]* | paste -sd ,)" \
        "$scratch/all" "${reports[@]}" >"$scratch/checked" || fail "SEED=$seed: $(cat "$scratch/checked")"
    say "$(cat "$scratch/checked")"
}
check
t cp "$scratch/all" "$scratch/before"
restart
check
expect_same_file "$scratch/before" "$scratch/all"
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
