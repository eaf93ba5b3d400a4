#!/bin/bash
# What would the new version of a program have made of today's records? Gives those of a topic since midnight to both
# versions, and shows the difference of what they write.
#
#     compare_versions.sh TOPIC OLD NEW      e.g. compare_versions.sh /mnt/topics/orders ./bill-1.4 ./bill-1.5
#
# Each version is a consumer group of its own, so no other consumer sees any of it, and the topic is not changed. The exit
# status is 0 where they are the same, 1 where not, and 2 where a version fails or it cannot be done.
set -euo pipefail
fail() {
    echo "compare_versions.sh: $*" >&2
    exit 2
}
if [[ $# -ne 3 ]]; then
    echo "usage: compare_versions.sh TOPIC OLD NEW" >&2
    exit 2
fi
topic=$1 old=$2 new=$3
[[ -d $topic/.groups ]] || fail "$topic: no topic of a mounted topicfs"
topicfs=${TOPICFS:-topicfs}
scratch=$(mktemp -d)
groups=$topic/.groups
of_old=compare-old-$$ of_new=compare-new-$$

# A moment can pass until the end of a reader is known.
remove_group() {
    [[ -d $groups/$1 ]] || return 0
    for _ in {1..50}; do
        rmdir "$groups/$1" 2>/dev/null && return 0
        sleep 0.1
    done
    rmdir "$groups/$1"
}
trap 'rm -r "$scratch"; remove_group "$of_old"; remove_group "$of_new"' EXIT

for group in "$of_old" "$of_new"; do
    mkdir "$groups/$group" || fail "cannot make a group"
    "$topicfs" reset "$groups/$group" --to-datetime "${SINCE:-today}" >"$scratch/reset" || fail "cannot find ${SINCE:-today}"
done

# Partition by partition, as there is no order between two of them.
for ((n = 0; ; ++n)); do
    [[ -e $topic/$n ]] || break
    "$topicfs" consume "$topic/$n" --group "$of_old" --until-end --retries 0 -- "$old" >>"$scratch/old" ||
        fail "$old failed"
    # Not those that have come meanwhile.
    count=$(($(<"$groups/$of_old/$n.offset") - $(<"$groups/$of_new/$n.offset")))
    [[ $count -eq 0 ]] ||
        "$topicfs" consume "$topic/$n" --group "$of_new" --max-messages "$count" --retries 0 -- "$new" >>"$scratch/new" ||
        fail "$new failed"
done
touch "$scratch/old" "$scratch/new"
diff -u --label "$old" --label "$new" "$scratch/old" "$scratch/new"
