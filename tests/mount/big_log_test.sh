#!/bin/bash
# A large log goes in by cat and comes back by cat, for each codec; what it takes on disk is hardly more than the codec
# alone makes of blocks of 1 MiB.
#
#   BYTES      of the log (default 200 MB)      CODECS   (default "lz4 zstd none")
#   LOG_FILE   lines to use in place of made ones
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
bytes=${BYTES:-200000000}
seconds_max=600
export LC_ALL=C

# An application's lines: times, levels, classes, numbers, now and then a stack trace.
make_lines() { # COUNT
    awk -v count="$1" 'BEGIN {
        srand(11); split("INFO INFO INFO INFO DEBUG WARN ERROR", level)
        split("PacketResponder DataXceiver FSNamesystem NameNode.Server BlockScanner HttpServer2", class)
        for (i = 1; i <= count; ++i) {
            at = i / 40
            printf "2026-11-21 %02d:%02d:%02d,%03d %s [thread-%d] org.example.store.%s: block blk_%d_%d of size %d from /10.251.%d.%d:%d took %.3f ms\n",
                at / 3600 % 24, at / 60 % 60, at % 60, i * 25 % 1000, level[int(rand() * 7) + 1], rand() * 64,
                class[int(rand() * 6) + 1], rand() * 2147483647, rand() * 100000, rand() * 67108864, rand() * 256,
                rand() * 256, rand() * 65536, rand() * 300
            if (rand() < 0.002)
                print "java.io.IOException: Connection reset by peer\n\tat sun.nio.ch.FileDispatcher.read0(Native Method)\n\tat sun.nio.ch.SocketDispatcher.read(SocketDispatcher.java:39)"
        }
    }'
}
say "making $bytes bytes of lines"
if [[ -n ${LOG_FILE:-} ]]; then
    cp "$LOG_FILE" "$scratch/piece"
else
    make_lines 200000 >"$scratch/piece"
fi
# Farther apart than a batch, so that what comes again does not compress better.
while cat "$scratch/piece" 2>/dev/null; do
    :
done | head -c "$bytes" >"$scratch/log" || true
expect_equal "$bytes" "$(stat -c %s "$scratch/log")" "size of the log"

# bare_bytes CODEC: the size of 1 MiB blocks, each compressed by itself.
bare_bytes() {
    case $1 in
        none) printf '%s' "$bytes" ;;
        *) split -b 1M --filter="$1 -1 -q -c | wc -c" "$scratch/log" | awk '{ sum += $1 } END { printf "%d", sum }' ;;
    esac
}

piece_bytes=40000000
is_nearly_sealed() {
    t python3 -c 'import json, sys; sys.exit(json.load(open(sys.argv[1]))["partitions"][0]["seal_lag_bytes"] > 2 << 20)' \
        "$mnt/$1/.status"
}

for codec in ${CODECS:-lz4 zstd none}; do
    if [[ $codec != none ]] && ! command -v "$codec" >/dev/null; then
        say "$codec is not installed: its size is not compared"
    fi
    start_mount
    t mkdir "$mnt/$codec"
    tsh 'echo "$1" > "$mnt/$1/.config/compression.type"' "$codec"
    begin=$(date +%s%N)
    # In pieces that the sealer keeps up with on a slow machine too: else it compresses less, as is meant.
    for ((at = 0; at < bytes; at += piece_bytes)); do
        tsh 'dd if="$scratch/log" skip="$1" count="$2" iflag=skip_bytes,count_bytes bs=1M status=none >> "$mnt/$3/0"' \
            "$at" "$piece_bytes" "$codec"
        wait_until 120 is_nearly_sealed "$codec"
    done
    written=$(date +%s%N)
    expect_same_file "$scratch/log" "$mnt/$codec/0"
    tsh 'cat "$mnt/$1/0"' "$codec" | cmp - "$scratch/log"
    read=$(date +%s%N)
    say "$codec: appended in $(((written - begin) / 1000000)) ms, read twice in $(((read - written) / 1000000)) ms"
    stop_mount
    stored=$(du --block-size=1 -s "$data/topics/$codec" | cut -f 1)
    if [[ $codec == none ]] || command -v "$codec" >/dev/null; then
        bare=$(bare_bytes "$codec")
        say "$codec: $stored bytes on disk; the codec alone: $bare; $(awk "BEGIN { printf \"%.4f\", $stored / $bare }")"
        ((stored * 100 <= bare * 103)) || fail "$codec: that is more than 3 % above"
    fi
    start_mount
    tsh 'cat "$mnt/$1/0"' "$codec" | cmp - "$scratch/log"
    stop_mount
    if [[ $codec == zstd ]] && command -v zstd >/dev/null; then
        zstdcat "$data/topics/$codec"/0/*.log.zst | cmp - "$scratch/log"
    elif [[ $codec != zstd ]] && command -v lz4 >/dev/null; then
        for segment in "$data/topics/$codec"/0/*.log.*; do lz4 -dcm "$segment"; done | cmp - "$scratch/log"
    fi
    expect_status 0 "$TOPICFS" verify "$data"
    rm -r "$data"
done
