#!/bin/bash
# The daemon is killed at random moments under four writers. What write(2) acknowledged is there after the next mount:
# not lost, torn, doubled or out of order. Writers past the daemon (passthrough) do not notice: they go on, in some rounds
# until the next daemon is there, which then has to see what they append. Batches and segments are small and the codec changes from round to round, so
# that the daemon dies while it seals, begins segments and writes recovery points too.
#
#   ROUNDS   (default 30)      SEED   of the moments (default: printed)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
line_writer=$(helper line_writer)
line_checker=$(helper line_checker)
rounds=${ROUNDS:-30}
seed=${SEED:-$RANDOM}
RANDOM=$seed
say "$rounds rounds; SEED=$seed"
writers=(a b c d)
file=$mnt/lines/0
mount_ms_max=0

# set_up: settings that differ from round to round. Not the smallest segments that there can be: the log
# is to have some thousands of them at most.
set_up() {
    local codecs=(lz4 zstd none) sizes=(300 4096 70000 1048576) segments=(4096 500000 1000000 30000000)
    tsh 'cd "$mnt/lines/.config"; echo "$1" > compression.type; echo "$2" > seal.bytes; echo "$3" > segment.bytes
        echo "$4" > seal.ms' "${codecs[RANDOM % 3]}" "${sizes[RANDOM % 4]}" "${segments[RANDOM % 4]}" $((RANDOM % 300 + 1))
}
# Milliseconds of this clock.
now_ms() { date +%s%3N; }
has_grown() { [[ $(t stat -c %s "$file") -gt $1 ]]; }

# timeout(1) hands the signal on. Those through the daemon have ended by themselves.
end_writers() {
    local i status
    kill -TERM "${jobs[@]}" 2>/dev/null || true
    for i in "${!jobs[@]}"; do
        status=0
        wait "${jobs[i]}" || status=$?
        if [[ $status -eq 143 && ! -s $scratch/ack.${writers[i]} ]]; then
            echo "0 0 4" >"$scratch/ack.${writers[i]}" # it had not begun: it takes the signal before it writes
        elif [[ $status -ne 0 ]]; then
            fail "round $round: a writer ended with $status"
        fi
    done
}

start_mount
t mkdir "$mnt/lines"
t touch "$file"
: >"$scratch/plain"
for ((round = 1; round <= rounds; ++round)); do
    line_bytes_max=$((RANDOM % 3 == 0 ? 3145728 : RANDOM % 2 == 0 ? 300 : 20000))
    set_up
    size_before=$(stat -c %s "$scratch/plain")
    jobs=()
    for letter in "${writers[@]}"; do
        timeout 60 "$line_writer" "$file" "$letter" "$round" "$line_bytes_max" 1000000 append 20e6 >"$scratch/ack.$letter" 2>&1 &
        jobs+=("$!")
    done
    wait_until 20 has_grown "$size_before"
    # The moment of the kill is what this test is about: a random one within 200 ms.
    sleep "0.$(printf '%03d' $((RANDOM % 200)))"
    if ((round % 2 == 0)); then
        kill_daemon
    else
        kill -KILL "$daemon" # and mounted over at once, while the kernel is still at taking it away
    fi
    if ((round % 3 != 0)); then
        end_writers
    fi
    begin=$(now_ms)
    mount_over
    t head -c 1 "$file" >/dev/null
    mount_ms=$(($(now_ms) - begin))
    if ((mount_ms > mount_ms_max)); then mount_ms_max=$mount_ms; fi
    if ((round % 3 == 0)); then
        end_writers
    fi

    wanted=()
    for letter in "${writers[@]}"; do
        read -r lines bytes error <"$scratch/ack.$letter"
        [[ $error -ne 0 ]] || fail "round $round: writer $letter came to its end"
        wanted+=("$letter:$round:$lines:$bytes:1")
    done
    t "$line_checker" "$file" "$size_before" "$line_bytes_max" "${wanted[@]}" >"$scratch/checked" ||
        fail "round $round (SEED=$seed): $(cat "$scratch/checked") [${wanted[*]}]"
    tsh 'tail -c "+$(($1 + 1))" "$mnt/lines/0" >> "$scratch/plain"' "$size_before"
    if ((round % 10 == 0)); then
        expect_same_file "$scratch/plain" "$file"
        say "round $round: $(stat -c %s "$scratch/plain") bytes; the longest start took $mount_ms_max ms"
    fi
done
expect_same_file "$scratch/plain" "$file"
((mount_ms_max <= ${MOUNT_MS_MAX:-3000})) || fail "the longest start took $mount_ms_max ms"

say "what is sealed decodes by stock tools, and is the beginning of it all"
expect_status 0 "$TOPICFS" verify "$data"
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
"$TOPICFS" cat "$data" lines/0 | cmp - "$scratch/plain"
decode_all() {
    local segment
    for segment in "$data"/topics/lines/0/*.log.*; do
        case $segment in
            *.zst) zstdcat "$segment" ;;
            *) lz4 -dcm "$segment" ;;
        esac 2>/dev/null
    done
}
if command -v lz4 >/dev/null && command -v zstdcat >/dev/null; then
    decode_all >"$scratch/decoded"
    decoded=$(stat -c %s "$scratch/decoded")
    ((decoded > $(stat -c %s "$scratch/plain") / 2)) || fail "only $decoded bytes are sealed"
    cmp -n "$decoded" "$scratch/decoded" "$scratch/plain"
else
    say "lz4 or zstdcat is not installed: not tried"
fi
