#!/bin/bash
# A worker of a consumer group: gives each record of a topic to a command, one by one, and waits for more.
#
#     worker.sh TOPIC GROUP COMMAND...      e.g. worker.sh /mnt/topics/orders billing ./bill
#
# A record is committed when the next one is read, so one that COMMAND fails for, or is killed in, is given again: to
# another worker of the group, or to the next that is started. Start as many as there are partitions; they share them.
#
# A shell reads such a file byte by byte, as it cannot seek in it: that makes some 150 records of 100 B a second. Where COMMAND
# is faster than that, take `topicfs consume` (see --batch). `cat …/all+follow | while read …` is faster too, but then
# what is in the pipe counts as read, and is lost when this script dies.
set -euo pipefail
if [[ $# -lt 3 ]]; then
    echo "usage: worker.sh TOPIC GROUP COMMAND..." >&2
    exit 2
fi
topic=$1 group=$2
shift 2

if [[ ! -d $topic/.groups ]]; then
    echo "worker.sh: $topic: no topic of a mounted topicfs" >&2
    exit 2
fi
# Several workers can make the group at the same time.
mkdir "$topic/.groups/$group" 2>/dev/null || [[ -d $topic/.groups/$group ]] || mkdir "$topic/.groups/$group"
while IFS= read -r record; do
    "$@" <<<"$record"
done <"$topic/.groups/$group/all+follow"
