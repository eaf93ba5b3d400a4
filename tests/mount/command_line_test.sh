#!/bin/bash
# The command's front: help, version, wrong use. Needs no mount.
source "$(dirname "$0")/lib.sh"

say "help and version go to standard output"
expect_status 0 "$TOPICFS" --help
grep -q 'topicfs mount' "$scratch/out" || fail "the help has no example"
expect_status 0 "$TOPICFS" --version
grep -qE '^topicfs [0-9]+\.[0-9]+\.[0-9]+$' "$scratch/out" || fail "an odd version: $(cat "$scratch/out")"

say "each command has help with examples"
for command in mount umount list describe create config tail consume groups lag reset cat dump verify bench; do
    expect_status 0 "$TOPICFS" "$command" --help
    grep -q '^Examples:' "$scratch/out" || fail "no examples for $command"
    grep -q "^  topicfs $command " "$scratch/out" || fail "no example of $command"
    grep -q "^  $command " <("$TOPICFS" --help) || fail "$command is not in the general help"
    [[ $(awk '{ print length }' "$scratch/out" | sort -n | tail -1) -le 120 ]] || fail "long lines in the help of $command"
done

say "wrong use is one line and exit status 2"
expect_refusal 2 'no command given' "$TOPICFS"
expect_refusal 2 "'mont' is no command" "$TOPICFS" mont
expect_refusal 2 'unrecognised option .--frobnicate' "$TOPICFS" mount --frobnicate "$data" "$mnt"
expect_refusal 2 'DATA is missing' "$TOPICFS" mount
expect_refusal 2 'MOUNTPOINT is missing' "$TOPICFS" mount "$data"
expect_refusal 2 "'surplus' is one argument too many" "$TOPICFS" mount "$data" "$mnt" surplus
expect_refusal 2 "'loud'" "$TOPICFS" mount --log-level loud "$data" "$mnt"
expect_refusal 2 "'suid' is not supported" "$TOPICFS" mount -o ro,suid "$data" "$mnt"
[[ ! -e $data ]] || fail "wrong use has made the data directory"

say "an option that is shortened is not guessed"
expect_refusal 2 'unrecognised option' "$TOPICFS" mount --fore "$data" "$mnt"

say "a reader of the help that goes away is no error message"
"$TOPICFS" --help 2>"$scratch/err" | true || true
[[ ! -s $scratch/err ]] || fail "stderr: $(cat "$scratch/err")"
