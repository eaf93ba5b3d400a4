#!/bin/bash
# Builds topicfs and mounts it: from a fresh Debian 12 to topics as files, in one command. Safe to run twice.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

usage() {
    cat <<'USAGE'
Usage: sudo packaging/quickstart.sh [MOUNTPOINT] [--data DIR] [--no-demo]

Installs the packages it needs, builds build/release/topicfs, mounts it at MOUNTPOINT
(default: /mnt/topics), and shows in a few seconds what one gets, on a store of its own in
a temporary folder that is removed afterwards.

  --data DIR   where the data lies (default: /var/lib/topicfs); made where it is missing
  --no-demo    only build and mount
  --help       show this text
USAGE
}

mount_point=
data=/var/lib/topicfs
demo=yes
while [[ $# -gt 0 ]]; do
    case $1 in
        --data)
            [[ $# -ge 2 ]] || die "--data needs a directory (see --help)"
            data=$2
            shift
            ;;
        --data=*) data=${1#*=} ;;
        --no-demo) demo=no ;;
        --help | -h)
            usage
            exit 0
            ;;
        -*) die "unknown option $1 (see --help)" ;;
        *)
            [[ -z $mount_point ]] || die "'$1' is one argument too many (see --help)"
            mount_point=$1
            ;;
    esac
    shift
done
mount_point=$(realpath -ms "${mount_point:-/mnt/topics}")
data=$(realpath -ms "$data")
[[ $EUID -eq 0 ]] || die "it installs packages and mounts for all users: run it by sudo"

topicfs=$source_directory/build/release/topicfs
scratch=

# The demo's store and mount go in every exit path.
clean_up() {
    local status=$?
    trap - EXIT
    if [[ -n $scratch ]]; then
        timeout 60 "$topicfs" umount "$scratch/mnt" >/dev/null 2>&1 || umount -l "$scratch/mnt" 2>/dev/null || true
        rm -rf --one-file-system "$scratch"
    fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# mounted_source PATH: the data directory that is mounted there, nothing where no topicfs is.
mounted_source() {
    timeout 10 findmnt --noheadings --output SOURCE --types fuse.topicfs --mountpoint "$1" 2>/dev/null | tail -n 1 || true
}

mount_store() {
    local source
    source=$(mounted_source "$mount_point")
    if [[ $source == "$data" ]] && timeout 10 stat -f "$mount_point" >/dev/null 2>&1; then
        say "already mounted: $data at $mount_point"
        return
    fi
    # A dead mount point cannot be looked at; topicfs mount takes it away.
    [[ -n $source ]] || mkdir -p "$mount_point"
    mkdir -p "$(dirname "$data")"
    timeout 120 "$topicfs" mount "$data" "$mount_point" || die "could not mount $data at $mount_point (see above)"
    if [[ -n ${SUDO_UID:-} ]]; then
        # Whoever called sudo may make topics. The store keeps the owner.
        timeout 10 chown "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$mount_point"
    fi
    say "mounted: $data at $mount_point"
}

# show COMMAND: prints a line of bash as typed in the demo's mount, and runs it.
show() {
    printf '\n$ %s\n' "$1"
    (cd "$scratch/mnt" && timeout 60 bash -c "$1") || die "the demo's command failed: $1"
}

make_lines() {
    awk 'BEGIN {
        srand(1)
        split("GET /index.html,GET /orders,POST /orders,GET /search,PUT /cart", requests, ",")
        for (i = 1; i <= 100000; ++i)
            printf "10.0.%d.%d %s user=%d status=%d took=%dms\n", rand() * 256, rand() * 256,
                   requests[int(rand() * 5) + 1], rand() * 10000, rand() < 0.01 ? 500 : 200, rand() * 300
    }' >"$scratch/access.log"
}

# Compression runs a moment behind the appends.
is_compressed() {
    local raw stored
    raw=$(timeout 10 stat -c %s "$scratch/mnt/web/0")
    stored=$(($(timeout 10 stat -c %b "$scratch/mnt/web/0") * 512))
    ((stored * 2 < raw))
}

show_demo() {
    local deadline=$((SECONDS + 40))
    say "a demonstration, on a store of its own in a temporary folder"
    scratch=$(mktemp -d -t topicfs-demo.XXXXXX)
    mkdir "$scratch/mnt"
    make_lines
    timeout 60 "$topicfs" mount "$scratch/data" "$scratch/mnt" || die "could not mount the demonstration"
    show "mkdir web                             # a topic, with one partition: web/0"
    show "cat $scratch/access.log >> web/0   # append 100,000 lines"
    show "echo 500 > web/.config/seal.ms        # compress sooner than after 15 s"
    show "tail -n 2 web/0"
    printf '\n(waiting for the compression, which runs a moment behind the appends)\n'
    until is_compressed; do
        ((SECONDS < deadline)) || die "nothing was compressed within 40 s: look into the system's log for topicfs"
        sleep 0.2
    done
    show "ls -l web/0; du -h --apparent-size web/0; du -h web/0   # what it shows, and what it takes"
    show "grep -c status=500 web/0              # search, straight through the compression"
    printf '\n# The segments are ordinary lz4 files; this needs no topicfs:\n'
    show "lz4 -dcm $scratch/data/topics/web/0/*.log.lz4 | head -n 2"
    printf '\n'
    timeout 60 "$topicfs" umount "$scratch/mnt" || die "could not unmount the demonstration"
    rm -rf --one-file-system "$scratch"
    scratch=
}

ensure_packages "${build_packages[@]}" lz4 zstd
ensure_fuse || die "the kernel has no FUSE: modprobe fuse; in a container add --device /dev/fuse --cap-add SYS_ADMIN"
build_preset release topicfs
[[ $demo == no ]] || show_demo
mount_store
cat <<NEXT

What to try next:
  mkdir $mount_point/orders                    # a topic
  echo '{"id":1}' >> $mount_point/orders/0     # append
  tail -f $mount_point/orders/0                # follow
  cat $mount_point/orders/.status              # the topic in figures
  sudo $topicfs verify $data
  sudo $topicfs umount $mount_point
NEXT
