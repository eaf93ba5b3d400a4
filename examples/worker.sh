#!/bin/bash
# A worker of a consumer group: gives each record of a topic to a command, one by one, and waits for more.
#
#     worker.sh TOPIC GROUP COMMAND...      e.g. worker.sh /mnt/topics/orders billing ./bill
#
# A record is committed when the next one is read, so one that COMMAND fails for, or is killed in, is given again: to
# another worker of the group, or to the next that is started. Start as many as there are partitions; they share them.
set -euo pipefail
topic=$1 group=$2
shift 2

[[ -d $topic/.groups/$group ]] || mkdir -p "$topic/.groups/$group"
while IFS= read -r record; do
    "$@" <<<"$record"
done <"$topic/.groups/$group/all+follow"
