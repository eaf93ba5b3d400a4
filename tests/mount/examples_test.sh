#!/bin/bash
# The examples that need a mount: a worker in shell, a pool of them, one in C++, two versions of a program compared.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
export LC_ALL=C TZ=UTC TOPICFS
examples=$tests_directory/../../examples

committed() { t cat "$mnt/$1.offset"; }
has_lines() { [[ -e $2 && $(wc -l <"$2") -ge $1 ]]; }
is_committed() { [[ $(committed "$1") -eq $2 ]]; }
readers() { t "$TOPICFS" groups "$mnt/$1" | awk -v group="$2" '$2 == group { print $4 }'; }
has_readers() { [[ $(readers "$1" "$2") -eq $3 ]]; }

start_mount
t mkdir "$mnt/t"
tsh 'touch "$mnt/t/1" "$mnt/t/2" "$mnt/t/3" && for p in 0 1 2 3; do seq $((p * 1000)) $((p * 1000 + 99)) >> "$mnt/t/$p"; done'

say "worker.sh: a record whose command fails is given again"
t mkdir "$mnt/one"
tsh 'printf "a\nb \\\\ c\n\nstop\nd\n" >> "$mnt/one/0"'
cat >"$scratch/command" <<'W'
#!/bin/bash
record=$(cat)
[[ $record != stop || -e $1.go_on ]] || exit 1
printf '%s\n' "$record" >>"$1"
W
chmod +x "$scratch/command"
expect_status 1 "$examples/worker.sh" "$mnt/one" g "$scratch/command" "$scratch/one"
printf 'a\nb \\ c\n\n' >"$scratch/expected"
expect_same_file "$scratch/expected" "$scratch/one"
expect_equal 3 "$(committed one/.groups/g/0)"
touch "$scratch/one.go_on"
"$examples/worker.sh" "$mnt/one" g "$scratch/command" "$scratch/one" &
worker=$!
wait_until 20 is_committed one/.groups/g/0 5
kill "$worker"
{ wait "$worker" || true; } 2>/dev/null
expect_same_file "$mnt/one/0" "$scratch/one"

say "worker.sh makes a group, but no topic; without arguments it says what it takes"
expect_refusal 2 'none: no topic of a mounted topicfs' "$examples/worker.sh" "$mnt/none" g true
expect_refusal 2 'no topic of a mounted topicfs' "$examples/worker.sh" "$scratch" g true
[[ ! -e $mnt/none && ! -e $scratch/.groups ]] || fail "something was made"
for arguments in "" "$mnt/one" "$mnt/one g"; do
    # shellcheck disable=SC2086
    expect_refusal 2 '^usage: worker.sh TOPIC GROUP COMMAND' "$examples/worker.sh" $arguments
done
expect_refusal 2 'none: no topic of a mounted topicfs' "$examples/worker_pool.sh" 2 "$mnt/none" g true
expect_refusal 2 '^usage: worker_pool.sh N TOPIC GROUP COMMAND' "$examples/worker_pool.sh"
expect_refusal 2 '^usage: worker_pool.sh N TOPIC GROUP COMMAND' "$examples/worker_pool.sh" three "$mnt/one" g true

say "worker_pool.sh: workers share the partitions, and each record is for one of them"
cat >"$scratch/in_pool" <<'W'
#!/bin/bash
echo "$PPID" >>"$1.workers"
cat >>"$1"
W
chmod +x "$scratch/in_pool"
"$examples/worker_pool.sh" 3 "$mnt/t" pool "$scratch/in_pool" "$scratch/pool" &
pool=$!
wait_until 60 has_lines 400 "$scratch/pool"
tsh 'seq 5000 5099 | tee -a "$mnt/t/2" >> "$mnt/t/3"'
wait_until 60 has_lines 600 "$scratch/pool"
wait_until 20 is_committed t/.groups/pool/3 200
wait_until 20 is_committed t/.groups/pool/2 200
kill "$pool"
wait "$pool" || fail "the pool ended with $?"
wait_until 20 has_readers t pool 0
[[ $(sort -u "$scratch/pool.workers" | wc -l) -ge 2 ]] || fail "one worker got everything"
tsh 'sort "$mnt/t/"[0-3] > "$scratch/expected"; sort "$scratch/pool" > "$scratch/sorted"'
expect_same_file "$scratch/expected" "$scratch/sorted"

say "consume_group: reads the group's file itself"
consumer=$(helper consume_group)
t mkdir "$mnt/t/.groups/cpp"
t "$consumer" "$mnt/t/.groups/cpp/0" >"$scratch/out"
awk '{ print length($0), $0 }' "$mnt/t/0" >"$scratch/expected"
expect_same_file "$scratch/expected" "$scratch/out"
expect_equal 100 "$(committed t/.groups/cpp/0)"
"$consumer" "$mnt/t/.groups/cpp/0+follow" >"$scratch/out" &
consumer_pid=$!
wait_until 20 has_readers t cpp 1
expect_refusal 1 'Device or resource busy' "$consumer" "$mnt/t/.groups/cpp/0"
tsh 'echo more >> "$mnt/t/0"'
wait_until 20 has_lines 1 "$scratch/out"
kill "$consumer_pid"
wait "$consumer_pid" || fail "ended with $?"
expect_equal '4 more' "$(<"$scratch/out")"
expect_equal 101 "$(committed t/.groups/cpp/0)"
expect_refusal 2 'no stream of records' "$consumer" "$mnt/t/0"

say "compare_versions.sh: what two versions make of the same records"
printf '#!/bin/bash\nsed s/^/bill\\ /\n' >"$scratch/old"
printf '#!/bin/bash\nsed "s/^/bill /; s/ 2042$/ none/"\n' >"$scratch/new"
chmod +x "$scratch/old" "$scratch/new"
# Of the last day: at midnight sharp nothing would be of today.
SINCE=-1d expect_status 0 "$examples/compare_versions.sh" "$mnt/t" "$scratch/old" "$scratch/old"
SINCE=-1d expect_status 1 "$examples/compare_versions.sh" "$mnt/t" "$scratch/old" "$scratch/new"
expect_equal '-bill 2042 +bill none' "$(grep '^[-+]bill' "$scratch/out" | paste -sd' ')"
expect_equal 0 "$(t "$TOPICFS" groups "$mnt/t" | grep -c compare)" "groups left behind"
expect_status 0 "$examples/compare_versions.sh" "$mnt/t" "$scratch/old" "$scratch/old"
# That one fails is another answer than that they differ.
printf '#!/bin/bash\ncat >/dev/null; [[ $TOPICFS_PARTITION -ne 2 ]]\n' >"$scratch/fails"
chmod +x "$scratch/fails"
SINCE=-1d expect_status 2 "$examples/compare_versions.sh" "$mnt/t" "$scratch/old" "$scratch/fails"
SINCE=-1d expect_status 2 "$examples/compare_versions.sh" "$mnt/t" "$scratch/fails" "$scratch/old"
grep -q "compare_versions.sh: $scratch/fails failed" "$scratch/err" || fail "it says $(<"$scratch/err")"
SINCE=-1d expect_status 2 "$examples/compare_versions.sh" "$mnt/t" "$scratch/none" "$scratch/old"
SINCE=nonsense expect_status 2 "$examples/compare_versions.sh" "$mnt/t" "$scratch/old" "$scratch/old"
expect_equal 0 "$(t "$TOPICFS" groups "$mnt/t" | grep -c compare)" "groups left behind"
expect_refusal 2 '^usage: compare_versions.sh TOPIC OLD NEW' "$examples/compare_versions.sh"
expect_refusal 2 '^usage: compare_versions.sh TOPIC OLD NEW' "$examples/compare_versions.sh" "$mnt/t" true
expect_refusal 2 'none: no topic of a mounted topicfs' "$examples/compare_versions.sh" "$mnt/none" true true
stop_mount
