#!/bin/bash
# flock and fcntl locks hold between all who open a partition, whether they read it or append to it.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need flock
file_locker=$(helper file_locker)
export LC_ALL=C

start_mount
t mkdir "$mnt/jobs"
tsh 'echo job >> "$mnt/jobs/0"; echo job >> "$mnt/jobs/1"'
file=$mnt/jobs/0

# hold NAME KIND TYPE MODE [FIRST LENGTH]: in the background until `release NAME`. What it says goes to $scratch/NAME.
declare -A holders
hold() {
    local name=$1
    shift
    : >"$scratch/$name"
    timeout --kill-after=5 --foreground 100 "$file_locker" "$1" "$2" "$3" "$file" "${@:4}" >"$scratch/$name" &
    wait_until 10 process_of "$name" "$!"
}
# The locker itself, below its timeout.
process_of() { holders[$1]=$(pgrep -P "$2" -x file_locker); }
says() { [[ $(cat "$scratch/$1") == "$2" ]]; }
held() { wait_until 10 says "$1" locked; }
release() { kill -USR1 "${holders[$1]}"; }
# Asleep in the system call that asks for the lock.
waits() {
    wait_until 10 grep -qE '^(73|72) ' "/proc/${holders[$1]}/syscall" # flock, fcntl
    says "$1" '' || fail "$1 does not wait: $(cat "$scratch/$1")"
}
gone() { [[ ! -d /proc/${holders[$1]} ]]; }
is_busy() { expect_status 1 "$file_locker" "try-$1" "$2" "$3" "$file" "${@:4}"; }
is_free() { expect_status 0 "$file_locker" "try-$1" "$2" "$3" "$file" "${@:4}"; }

say "the flock command"
exec 9>>"$file"
t flock -n 9
expect_status 1 flock -n "$file" true # opens to read
expect_status 1 flock -n -s "$file" true
expect_status 0 flock -n "$mnt/jobs/1" true
exec 9>&-
wait_until 10 flock -n "$file" true
tsh 'for i in 1 2 3 4; do (for n in $(seq 25); do
        flock "$mnt/jobs/0" bash -c "read -r c < \"$scratch/counter\" || c=0; echo \$((c + 1)) > \"$scratch/counter\""
    done) & done; wait' 2>/dev/null
expect_equal 100 "$(cat "$scratch/counter")" "a counter under a lock"

for kind in flock fcntl ofd; do
    # A lock of fcntl asks for the open that it needs: to read for a shared one, to write for one that is exclusive.
    exclusive=append
    if [[ $kind == flock ]]; then exclusive=read; fi
    say "$kind: exclusive and shared, between readers and writers"
    hold one $kind exclusive append
    held one
    is_busy $kind shared read
    is_busy $kind exclusive both
    is_busy $kind exclusive $exclusive
    release one
    wait_until 10 gone one
    is_free $kind exclusive $exclusive
    hold one $kind shared read
    held one
    is_free $kind shared read
    is_free $kind shared both
    is_busy $kind exclusive append

    say "$kind: a waiter is granted the lock when it is free"
    hold two $kind exclusive append
    waits two
    release one
    held two
    hold three $kind shared read
    waits three
    hold four $kind shared both
    waits four
    release two
    held three
    held four
    release three
    release four
    wait_until 10 gone three
    wait_until 10 gone four

    say "$kind: a signal ends the waiting, and leaves the lock alone"
    hold one $kind exclusive both
    held one
    hold two $kind exclusive append
    waits two
    kill -USR1 "${holders[two]}"
    wait_until 10 says two interrupted
    hold three $kind exclusive append
    waits three
    kill -KILL "${holders[three]}"
    wait_until 10 gone three
    is_busy $kind shared read
    release one
    wait_until 10 gone one
    is_free $kind exclusive both

    say "$kind: kill -9 gives it back, and who waits gets it"
    hold one $kind exclusive append
    held one
    hold two $kind shared read
    waits two
    kill -KILL "${holders[one]}"
    held two
    release two
    wait_until 10 gone two
    is_free $kind exclusive both
done

say "byte ranges, whole or in part"
hold one fcntl exclusive append 0 100
held one
hold two fcntl exclusive both 100 100
held two
is_busy fcntl shared read 99 1
is_busy fcntl shared read 199 1
is_busy fcntl exclusive append 50 100
is_free fcntl exclusive append 200 0
release one
wait_until 10 gone one
is_free fcntl exclusive append 0 100
is_busy fcntl exclusive append 0 101
release two

say "locks do not stop appends and reads, and the two kinds do not meet"
hold one flock exclusive both
held one
is_free fcntl exclusive both
tsh 'echo more >> "$mnt/jobs/0"; grep -q more "$mnt/jobs/0"'
release one
wait_until 10 gone one
is_free flock exclusive read
stop_mount
