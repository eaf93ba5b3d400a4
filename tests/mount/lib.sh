# For the tests that mount: source it at the top of a bash script. It gives a scratch folder with a data directory and a
# mount point, functions to start and end the daemon, and functions to expect things. Whatever happens, the mounts are
# gone and the daemons are dead when the script ends.
#
#   TOPICFS     the program (default: build/dev/topicfs)
#   TMPDIR      where the scratch folder is made
#   WRITE_PATH  which way appends take: auto (the default: past the daemon where that is to be had) or daemon
#   TOPICFS_TEST_HELPERS  where the programs are that tests/mount/*.cpp make (default: beside the program)
#
#   $scratch    the scratch folder      $data  the data directory (made by the first mount)
#   $mnt        the mount point         $log   the daemon's log      $daemon  its process number
#
# A command that touches the mount goes through `t`, a shell line that does through `tsh`: a daemon that hangs must not
# hang the test. Wait for things with wait_until, never by sleeping for a time.
# shellcheck shell=bash
set -euo pipefail

tests_directory=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOPICFS=$(realpath "${TOPICFS:-$tests_directory/../../build/dev/topicfs}")
test_name=$(basename "$0" .sh)
seconds_max=${TOPICFS_TEST_SECONDS_MAX:-60} # of one command
scratch=$(mktemp -d "${TMPDIR:-/tmp}/topicfs-test.XXXXXX")
data=$scratch/data
mnt=$scratch/mnt
log=$scratch/daemon.log
pid_file=$scratch/daemon.pid
daemon=
daemons=() # all that were started
write_path=${WRITE_PATH:-auto}
mkdir "$mnt"

# A sanitizer's report would be lost with the daemon's stderr.
export ASAN_OPTIONS="log_path=$scratch/sanitizer:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="log_path=$scratch/sanitizer:print_stacktrace=1:${UBSAN_OPTIONS:-}"
export TSAN_OPTIONS="log_path=$scratch/sanitizer:${TSAN_OPTIONS:-}"

say() { printf '%s: %s\n' "$test_name" "$*"; }

# fail MESSAGE...: ends the test.
fail() {
    printf '%s: FAILED at line %s: %s\n' "$test_name" "$(failing_line)" "$*" >&2
    exit 1
}

# The line of the test script itself, however deep in here the failure was noticed.
failing_line() {
    local i
    for ((i = 1; i < ${#BASH_SOURCE[@]}; ++i)); do
        if [[ ${BASH_SOURCE[i]} != "${BASH_SOURCE[0]}" ]]; then
            printf '%s' "${BASH_LINENO[i - 1]}"
            return
        fi
    done
}

# skip REASON...: ends the test as skipped (ctest's SKIP_RETURN_CODE).
skip() {
    printf '%s: SKIPPED: %s\n' "$test_name" "$*"
    exit 77
}

need_root() { [[ $EUID -eq 0 ]] || skip "needs root"; }
need_fuse() { [[ -c /dev/fuse ]] || skip "there is no /dev/fuse here"; }
need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
}
# helper NAME: the path of a program that tests/mount/NAME.cpp makes.
helper() {
    local path=${TOPICFS_TEST_HELPERS:-$(dirname "$TOPICFS")}/$1
    [[ -x $path ]] || fail "$path is not there: build the tests first, or set TOPICFS_TEST_HELPERS"
    printf '%s' "$path"
}

# t COMMAND...: with a bound on its time; 124 where that was exceeded.
t() { timeout --kill-after=5 "$seconds_max" "$@"; }
# tsh SCRIPT [ARGUMENT...]: a line of bash with a bound on its time. It sees $data, $mnt, $scratch and $1, $2, …
tsh() {
    local script=$1
    shift
    data=$data mnt=$mnt scratch=$scratch TOPICFS=$TOPICFS t bash -euo pipefail -c "$script" "$test_name" "$@"
}

# wait_until SECONDS COMMAND...: until COMMAND succeeds; fails the test when SECONDS have passed. It looks again every
# 20 ms.
wait_until() {
    local deadline=$((SECONDS + $1 + 1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || fail "waited in vain for: $*"
        sleep 0.02
    done
}

# ---- Daemons ---------------------------------------------------------------------------------------------------------

# start_mount [OPTION...]: mounts $data at $mnt and sets $daemon.
start_mount() {
    t "$TOPICFS" mount --pid-file "$pid_file" --log-file "$log" --log-level debug "$@" "$data" "$mnt" ||
        fail "topicfs mount ended with $?"
    daemon=$(<"$pid_file")
    daemons+=("$daemon")
    choose_write_path
}

# Topics that are made from here on get the write path that the test is run for. Where passthrough is not to be had all
# appends go through the daemon, and that is said once.
choose_write_path() {
    local reason
    if [[ $write_path == daemon ]]; then
        if [[ $(t cat "$mnt/.config/write.path") != daemon ]]; then
            tsh 'echo daemon > "$mnt/.config/write.path"'
        fi
    elif [[ ! -e $scratch/said_no_passthrough ]]; then
        reason=$(no_passthrough_because)
        if [[ -n $reason ]]; then
            say "passthrough is not to be had here: $reason"
            touch "$scratch/said_no_passthrough"
        fi
    fi
}

# Empty where appends can stay in the kernel.
no_passthrough_because() {
    t cat "$mnt/.status" | sed -n 's/.*"no_passthrough_because": *"\([^"]*\)".*/\1/p'
}

# mount_over [OPTION...]: as start_mount, where a daemon that was killed has left its mount; what is said about that is
# not shown.
mount_over() {
    if ! (start_mount "$@") 2>"$scratch/mount_over.err"; then
        cat "$scratch/mount_over.err" >&2
        exit 1
    fi
    daemon=$(<"$pid_file")
    daemons+=("$daemon")
}

# stop_mount: unmounts as a user does, and waits for the daemon's end.
stop_mount() {
    t "$TOPICFS" umount "$mnt" || fail "topicfs umount ended with $?"
    wait_until 30 daemon_is_gone "$daemon"
    check_sanitizers
}

# restart [OPTION...]: a clean end, and a new start.
restart() {
    stop_mount
    start_mount "$@"
}

# kill_daemon [SIGNAL]: by KILL where no other is given; waits until the process is gone. The dead mount stays.
kill_daemon() {
    kill "-${1:-KILL}" "$daemon"
    wait_until 30 daemon_is_gone "$daemon"
}

# One that nobody has reaped yet is gone too; but not while threads of it are left, which have its files open.
daemon_is_gone() {
    local threads
    threads=$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)
    [[ $threads -eq 0 ]] || { [[ $threads -eq 1 ]] && grep -q '^[0-9]* (.*) [ZX]' "/proc/$1/stat" 2>/dev/null; } || [[ ! -r /proc/$1/stat ]]
}

is_mounted() { awk -v at="${1:-$mnt}" '$5 == at { found = 1 } END { exit !found }' /proc/self/mountinfo; }
is_not_mounted() { ! is_mounted "$@"; }

# detach_mounts: takes every mount below $scratch away, used or not.
detach_mounts() {
    local at
    while read -r at; do
        timeout 10 umount -l "$at" 2>/dev/null || timeout 10 fusermount3 -uz "$at" 2>/dev/null || true
    done < <(awk -v below="$scratch/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | sort -r)
}

# has_open PID PATH: whether that process has the file open.
has_open() { find "/proc/$1/fd" -lname "$2" 2>/dev/null | grep -q .; }

check_sanitizers() {
    local report
    for report in "$scratch"/sanitizer*; do
        if [[ -s $report ]]; then
            cat "$report" >&2
            fail "a sanitizer has found something"
        fi
    done
}

# ---- Expecting -------------------------------------------------------------------------------------------------------

# expect_status STATUS COMMAND...: its output goes to $scratch/out and $scratch/err.
expect_status() {
    local wanted=$1 status=0
    shift
    t "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
    if [[ $status -ne $wanted ]]; then
        sed 's/^/  stderr: /' "$scratch/err" >&2
        fail "exit status $status, not $wanted: $*"
    fi
}

# expect_refusal STATUS TEXT COMMAND...: one line on stderr, with TEXT (a regular expression) in it.
expect_refusal() {
    local status=$1 text=$2
    shift 2
    expect_status "$status" "$@"
    [[ $(wc -l <"$scratch/err") -eq 1 ]] || fail "not one line on stderr: $(cat "$scratch/err")"
    grep -qE -- "$text" "$scratch/err" || fail "stderr lacks '$text': $(cat "$scratch/err")"
}

# expect_equal WANTED IS [WHAT]
expect_equal() { [[ $1 == "$2" ]] || fail "${3:-value}: wanted '$1', is '$2'"; }

# expect_same_file WANTED IS: byte for byte.
expect_same_file() { t cmp "$1" "$2" || fail "$2 is not the same as $1"; }

# expect_errno NAME COMMAND...: COMMAND fails, and its stderr has the text of that errno (with LC_ALL=C).
expect_errno() {
    local text
    case $1 in
        EPERM) text='Operation not permitted' ;;
        EACCES) text='Permission denied' ;;
        EINVAL) text='Invalid argument' ;;
        ENOENT) text='No such file or directory' ;;
        EEXIST) text='File exists' ;;
        EIO) text='Input/output error' ;;
        EROFS) text='Read-only file system' ;;
        EBUSY) text='Device or resource busy' ;;
        ENOTEMPTY) text='Directory not empty' ;;
        ENAMETOOLONG) text='File name too long' ;;
        ENOSPC) text='No space left on device' ;;
        ENODEV) text='No such device' ;;
        ESPIPE) text='Illegal seek' ;;
        ENOTDIR) text='Not a directory' ;;
        ENOTCONN) text='Transport endpoint is not connected' ;;
        *) fail "expect_errno does not know $1" ;;
    esac
    shift
    if LC_ALL=C t "$@" >"$scratch/out" 2>"$scratch/err" </dev/null; then
        fail "succeeded, should have failed with '$text': $*"
    fi
    grep -qF -- "$text" "$scratch/err" || fail "stderr lacks '$text': $(cat "$scratch/err")"
}

# ---- The end ---------------------------------------------------------------------------------------------------------

clean_up() {
    local status=$? pid
    trap - EXIT
    set +e
    if [[ $status -ne 0 && $status -ne 77 && -s $log ]]; then
        printf '%s: the end of the daemon'"'"'s log:\n' "$test_name" >&2
        tail -n 20 "$log" | sed 's/^/  /' >&2
    fi
    detach_mounts
    # First what runs under a timeout, which would go on without it: a writer past the daemon needs no mount.
    pkill -KILL -P "$(jobs -p | paste -sd ,)" 2>/dev/null
    jobs -p | xargs -r kill -KILL 2>/dev/null
    [[ -s $pid_file ]] && daemons+=("$(<"$pid_file")")
    for pid in "${daemons[@]}"; do
        # Only what is a daemon of this test still: the number may be another process's by now, that of another test's
        # daemon too.
        if [[ $(readlink "/proc/$pid/exe" 2>/dev/null) == "$TOPICFS" ]] && grep -qsF "$scratch/" "/proc/$pid/cmdline"; then
            kill -KILL "$pid" 2>/dev/null
        fi
    done
    if [[ $status -eq 0 ]]; then
        (check_sanitizers) || status=1
    fi
    rm -rf --one-file-system "$scratch"
    if [[ $status -eq 0 ]]; then
        say "passed"
    fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

need timeout
[[ $write_path == auto || $write_path == daemon ]] || fail "WRITE_PATH is auto or daemon, not '$write_path'"
[[ -x $TOPICFS ]] || fail "$TOPICFS is not there: build it first, or set TOPICFS"
