#!/bin/bash
# What .status says that the store takes on the disk is what du says, within one percent: with many topics, fronts that were
# given back, topics in the trash, groups, files of an unfinished line; on ext4, xfs and tmpfs.
#
#   FILE_SYSTEMS   (default "ext4 xfs tmpfs", each of its own)
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3 du
export LC_ALL=C

# du of the store, and .status, one percent of each other. What is on its way to the disk is waited for: XFS gives a file that
# grows more room than it needs for a while.
disk_agrees() {
    of_du=$(du -s --block-size=1 "$data" | cut -f 1)
    of_status=$(t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["disk_bytes"])' "$mnt/.status")
    of_metrics=$(t awk '$1 == "topicfs_store_disk_bytes" { print $2 }' "$mnt/.metrics")
    ((of_status >= of_du - of_du / 100 && of_status <= of_du + of_du / 100)) &&
        ((of_metrics >= of_du - of_du / 100 && of_metrics <= of_du + of_du / 100))
}
expect_disk_agrees() {
    local deadline=$((SECONDS + 30))
    until disk_agrees; do
        ((SECONDS < deadline)) ||
            fail "$file_system: $1: du says $of_du, .status $of_status, .metrics $of_metrics: $(show_disk)"
        sleep 0.1
    done
    say "$file_system: $1: du says $of_du, .status $of_status"
}
# Of each topic, and of the rest.
show_disk() {
    du --block-size=1 "$data" | sort -rn | sed -n 1,20p
    t python3 - "$mnt" <<'P'
import json, os, sys
for topic in sorted(os.listdir(sys.argv[1]))[:10]:
    status = json.load(open(f"{sys.argv[1]}/{topic}/.status"))
    print(topic, {key: value for key, value in status.items() if "disk" in key},
          [{key: value for key, value in p.items() if "disk" in key or "stored" in key} for p in status["partitions"]][:2])
P
}
is_sealed() {
    t python3 -c 'import json, sys
for p in json.load(open(sys.argv[1]))["partitions"]:
    if p["seal_lag_bytes"] > 0: sys.exit(1)' "$mnt/$1/.status"
}
# What a file system keeps ready for a file that grows it takes back when that is closed; the figures have to follow.
segments_are_closed() { ! find "/proc/$daemon/fd" -lname "$data/*.log.*" 2>/dev/null | grep -q .; }
starts_behind() {
    (($(t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["partitions"][0]["start_offset"])' "$mnt/$1/.status") > $2))
}

new_file_system() {
    mkdir "$scratch/disk"
    if [[ $1 == tmpfs ]]; then
        mount -t tmpfs -o size=1500m tmpfs "$scratch/disk"
    else
        truncate -s 1500M "$scratch/image"
        "mkfs.$1" -q "$scratch/image"
        mount -o loop "$scratch/image" "$scratch/disk"
    fi
    data=$scratch/disk/data
}
# umount(8) of the file system; who has it open for a moment is waited for.
remove_file_system() {
    wait_until 20 umount "$scratch/disk"
    rm -f "$scratch/image"
    rmdir "$scratch/disk"
}

for file_system in ${FILE_SYSTEMS:-ext4 xfs tmpfs}; do
    if [[ $file_system != tmpfs ]] && ! command -v "mkfs.$file_system" >/dev/null; then
        say "mkfs.$file_system is not installed: that file system is left out"
        continue
    fi
    if ! new_file_system "$file_system" 2>"$scratch/err"; then
        say "$file_system is left out: $(cat "$scratch/err")"
        rm -rf "$scratch/image"
        rmdir "$scratch/disk"
        continue
    fi
    start_mount
    expect_disk_agrees "an empty store"

    tsh 'echo 300 > "$mnt/.config/log.retention.check.interval.ms"
        for i in $(seq 100); do
            mkdir "$mnt/small$i"
            seq "$i" > "$scratch/lines"; cat "$scratch/lines" >> "$mnt/small$i/0"
        done
        mkdir "$mnt/wide"; echo 100 > "$mnt/wide/.config/num.partitions"
        seq 20000 >> "$mnt/wide/all"'
    expect_disk_agrees "100 topics with some lines each"

    tsh 'for codec in none lz4 zstd; do
            mkdir "$mnt/$codec"
            cd "$mnt/$codec/.config"
            echo $codec > compression.type; echo 65536 > seal.bytes; echo 50 > seal.ms; echo 4000000 > segment.bytes
            echo 100 > file.delete.delay.ms
            cd ..
            mkdir .groups/a .groups/b
            seq 3000000 >> 0
            head -c 10000 .groups/a/0 > /dev/null
            cat .groups/b/all > /dev/null
        done'
    for codec in none lz4 zstd; do
        wait_until 60 is_sealed "$codec"
    done
    expect_disk_agrees "three codecs, and groups"
    wait_until 60 segments_are_closed
    expect_disk_agrees "and once segments are closed"

    # The front of the oldest segment that stays is given back, and segments before it are gone.
    for codec in none lz4 zstd; do
        stored=$(t python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["stored_bytes"])' "$mnt/$codec/.status")
        tsh 'echo "$2" > "$mnt/$1/.config/retention.bytes"' "$codec" $((stored * 6 / 10))
        wait_until 60 starts_behind "$codec" 100000
        wait_until 60 t "$TOPICFS" trim "$mnt/$codec/0" --to 1500000 >/dev/null
    done
    # What is there to be given back has been, once the disk agrees with what du says for good.
    front_is_given_back() { (($(stat -c %b "$(find "$data/topics/$1/0" -name '*.log.*' | sort | head -n 1)") * 512 + 65536 < $(stat -c %s "$(find "$data/topics/$1/0" -name '*.log.*' | sort | head -n 1)"))); }
    for codec in none lz4 zstd; do
        wait_until 30 front_is_given_back "$codec"
    done
    wait_until 60 segments_are_closed
    expect_disk_agrees "fronts that were given back"
    restart
    expect_disk_agrees "and after a restart"

    tsh 'for i in $(seq 50); do mv "$mnt/small$i" "$mnt/.trash/"; done
        mv "$mnt/zstd" "$mnt/.trash/"'
    expect_disk_agrees "half of it in the trash"
    tsh 'for i in $(seq 20); do rm -r "$mnt/.trash/small$i"; done; rm -r "$mnt/.trash/zstd"'
    expect_disk_agrees "some of the trash gone"
    # An unfinished line, of which its writer's file knows, and what is not sealed.
    tsh 'echo 3600000 > "$mnt/lz4/.config/seal.ms"; echo 16777216 > "$mnt/lz4/.config/seal.bytes"
        exec 3>> "$mnt/wide/all"; head -c 3000000 /dev/zero | tr "\0" x >&3
        seq 700000 >> "$mnt/lz4/0"'
    expect_disk_agrees "head, and an unfinished line"
    kill_daemon
    mount_over
    expect_disk_agrees "after a death"
    stop_mount
    remove_file_system
done
