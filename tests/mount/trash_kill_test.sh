#!/bin/bash
# The daemon is killed again and again while topics are moved to the trash, back, and out of it for good. ROUNDS is how often.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
rounds=${ROUNDS:-25}

start_mount
t mkdir "$mnt/a"
say "$rounds rounds"
for ((round = 1; round <= rounds; ++round)); do
    timeout --kill-after=5 100 python3 "$tests_directory/trash_mover.py" "$mnt" "$scratch/state" >"$scratch/mover" 2>&1 &
    mover=$!
    # The moment is a matter of chance: that is what the round is for.
    sleep "0.$(printf '%03d' $((RANDOM % 800 + 100)))"
    kill_daemon
    wait "$mover" || fail "round $round: $(cat "$scratch/mover")"
    mount_over
    t python3 "$tests_directory/trash_mover.py" "$mnt" "$scratch/state" check ||
        fail "round $round: what is left is not what was promised"
    find "$data/trash" "$data/topics" -name '.unfinished-*' | grep -q . && fail "round $round: a start has left something half removed"
done
moved=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["next"])' "$scratch/state")
[[ $moved -ge $((rounds / 5)) ]] || fail "only $moved topics were moved in $rounds rounds"
stop_mount
expect_status 0 "$TOPICFS" verify "$data"
say "$moved topics were moved"
