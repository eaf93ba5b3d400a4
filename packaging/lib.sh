# What quickstart.sh and test.sh share: messages, packages, building. Source it.
# shellcheck shell=bash

source_directory=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=$(nproc)

# What the program is built from and runs with, as Debian 12 calls it.
build_packages=(g++ cmake ninja-build pkg-config libfuse3-dev fuse3 libboost-program-options-dev libzstd-dev liblz4-dev
    libspdlog-dev rapidjson-dev)

say() { printf '==> %s\n' "$*"; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# ensure_packages PACKAGE...: installs those that are missing; touches nothing where none is.
ensure_packages() {
    local package missing=()
    command -v dpkg-query >/dev/null || die "this is no Debian: install what these packages hold by hand: $*"
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    [[ $EUID -eq 0 ]] || die "packages are missing; install them first: sudo apt-get install ${missing[*]}"
    say "installing ${#missing[@]} packages: ${missing[*]}"
    run_logged "$(mktemp -t topicfs-apt.XXXXXX)" apt_install "${missing[@]}"
}

apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update </dev/null && apt-get install -y --no-install-recommends "$@" </dev/null
}

# fetch_package PACKAGE DIRECTORY: unpacks it there, and installs nothing.
fetch_package() {
    local package=$1 directory=$2 scratch status=0
    scratch=$(mktemp -d -t topicfs-apt.XXXXXX)
    chmod 755 "$scratch" # apt reads it as another user
    # shellcheck disable=SC2015
    mkdir -p "$directory" && (cd "$scratch" && apt-get download "$package" && dpkg-deb -x "$package"_*.deb "$directory") \
        </dev/null >"$scratch/log" 2>&1 || status=1
    rm -rf "$scratch"
    return "$status"
}

# run_logged LOG COMMAND...: its output goes to LOG, and is shown only where it fails.
run_logged() {
    local file=$1
    shift
    if ! "$@" >"$file" 2>&1; then
        tail -n 40 "$file" >&2
        die "this failed: $* (all of its output: $file)"
    fi
}

# True where a person called us by sudo who may write the source tree.
have_builder() {
    [[ $EUID -eq 0 && -n ${SUDO_UID:-} && ${SUDO_UID:-0} -ne 0 ]] &&
        setpriv --reuid "$SUDO_UID" --regid "$SUDO_GID" --init-groups test -w "$source_directory"
}

# as_builder COMMAND...: as whoever called sudo, so that the build folder stays that user's; else as we are.
as_builder() {
    if have_builder; then
        setpriv --reuid "$SUDO_UID" --regid "$SUDO_GID" --init-groups \
            env HOME="$(getent passwd "$SUDO_UID" | cut -d: -f6)" "$@"
    else
        "$@"
    fi
}

# What we made as root belongs to whoever called sudo.
give_back() {
    if have_builder && [[ -e $1 ]]; then
        chown -R "$SUDO_UID:$SUDO_GID" "$1"
    fi
}

# build_preset PRESET TARGET...: configures and builds build/PRESET; nothing to do is quick.
build_preset() {
    local preset=$1 directory=$source_directory/build/$1 file
    shift
    give_back "$source_directory/build"
    as_builder mkdir -p "$directory"
    file=$directory/build.log
    rm -f "$file"
    (cd "$source_directory" && run_logged "$file" as_builder cmake --preset "$preset")
    if (cd "$source_directory" && as_builder cmake --build "$directory" ${1:+--target "$@"} -- -n) |
        grep -q 'no work to do'; then
        say "build/$preset is up to date"
        return
    fi
    say "building build/$preset with $jobs jobs (the first time this takes some minutes)"
    # Ninja's "[12/80] Building …" lines become one line that counts, where somebody looks.
    if ! (cd "$source_directory" && as_builder cmake --build "$directory" --parallel "$jobs" ${1:+--target "$@"} 2>&1) |
        tee -a "$file" | show_progress; then
        grep -A15 -m1 -E '^FAILED|error:' "$file" >&2 || tail -n 40 "$file" >&2
        die "the build failed (all of its output: $file)"
    fi
}

show_progress() {
    if [[ -t 1 ]]; then
        sed -u -n 's/^\(\[[0-9]*\/[0-9]*\]\).*/\1/p' | while read -r count; do printf '\r    %s ' "$count"; done
        printf '\r\033[K'
    else
        cat >/dev/null
    fi
}

# ensure_fuse: the kernel's FUSE, as far as it can be had.
ensure_fuse() {
    [[ -c /dev/fuse ]] || { [[ $EUID -eq 0 ]] && modprobe fuse 2>/dev/null; } || true
    [[ -c /dev/fuse ]]
}
