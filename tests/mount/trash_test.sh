#!/bin/bash
# /.trash: topics are removed with mv or `topicfs delete`, and brought back; rm -r there removes them for good.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3 setpriv
export LC_ALL=C
chmod 755 "$scratch"

trash=$mnt/.trash
inode() { t stat -c %i "$1"; }
listed() { expect_equal "$2" "$(t ls -A "$1" | paste -sd ' ')" "what is in $1"; }
status() { t python3 -c 'import json, sys; s = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$mnt/$1" "$2"; }
waiting_reads() { [[ $(status .status "s['waiting_reads']") -eq $1 ]]; }
has_lines() { [[ $(wc -l <"$1") -ge $2 ]]; }
is_gone() { [[ ! -e $1 ]]; }
# background NAME COMMAND...: its output goes to $scratch/NAME; its process is $background.
background() {
    local name=$1
    shift
    timeout --kill-after=5 100 "$@" <&0 >"$scratch/$name" 2>"$scratch/$name.err" &
    background=$!
}
# made TOPIC LINE...: in partition 0.
made() {
    local topic=$1
    shift
    t mkdir "$mnt/$topic"
    printf '%s\n' "$@" | t tee -a "$mnt/$topic/0" >/dev/null
}

start_mount

say "mv takes a topic to the trash and back; it is found there, and not listed in the root"
made orders one two
made web x
was=$(inode "$mnt/orders/0")
listed "$mnt" 'orders web'
listed "$trash" ''
t mv "$mnt/orders" "$trash/"
listed "$mnt" web
listed "$trash" orders
listed "$trash/orders" 0
expect_equal $'one\ntwo' "$(t cat "$trash/orders/0")"
expect_equal two "$(t cat "$trash/orders/0@-1")"
expect_equal "$was" "$(inode "$trash/orders/0")" "the inode number"
expect_equal orders "$(status .trash/orders/.status "s['removed_name']")"
expect_errno ENOENT cat "$mnt/orders/0"
for refused in 'echo x >> "$1/orders/0"' 'echo x >> "$1/orders/all"' 'touch "$1/orders/1"' 'exec 3<>"$1/orders/0"' \
    'echo 5 > "$1/orders/.config/seal.ms"' 'chmod 700 "$1/orders"' 'mkdir "$1/orders/.groups/g"'; do
    expect_errno EROFS bash -c "$refused" bash "$trash"
done
expect_errno EPERM mkdir "$trash/new"
expect_errno EPERM bash -c 'echo x > "$1/new"' bash "$trash"
expect_errno EPERM mv "$trash/orders" "$trash/other"
expect_errno EPERM mv "$mnt/web" "$mnt/other"
expect_errno EPERM mv "$mnt/.config" "$trash/"
expect_errno EPERM rmdir "$trash"
tsh 'cd "$mnt/.trash" && mv orders ..'
listed "$mnt" 'orders web'
tsh 'echo three >> "$mnt/orders/0"'
expect_equal 3 "$(t grep -c . "$mnt/orders/0")"
expect_equal "$was" "$(inode "$mnt/orders/0")" "the inode number"
t mv "$mnt/orders" "$trash/by-another-name"
t mv "$trash/by-another-name" "$mnt/sales"
expect_equal $'one\ntwo\nthree' "$(t cat "$mnt/sales/0")"
t mv "$mnt/sales" "$trash/orders"

say "a new topic of the old name is another one; no removed topic takes the place of another"
made orders new
[[ $(inode "$mnt/orders") != "$(inode "$trash/orders")" ]] || fail "a new topic has the removed one's inode number"
[[ $(inode "$mnt/orders/0") != "$was" ]] || fail "a new partition has the removed one's inode number"
expect_errno EEXIST mv "$mnt/orders" "$trash/"
expect_errno EEXIST mv -T -f "$mnt/orders" "$trash/orders"
expect_errno EEXIST mv -T "$trash/orders" "$mnt/web"
expect_equal new "$(t cat "$mnt/orders/0")"
expect_equal $'one\ntwo\nthree' "$(t cat "$trash/orders/0")"

say "topicfs delete and undelete"
expect_status 0 "$TOPICFS" delete "$mnt/orders"
expect_equal "$trash/orders.2" "$(cat "$scratch/out")"
made orders third
expect_status 0 "$TOPICFS" delete --json "$mnt/orders/"
expect_equal "$trash/orders.3" "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["to"])' "$scratch/out")"
listed "$trash" 'orders orders.2 orders.3'
expect_refusal 2 'in the trash already' "$TOPICFS" delete "$trash/orders"
expect_refusal 2 'No such file' "$TOPICFS" delete "$mnt/nothing"
expect_refusal 2 'no topic of a mounted topicfs' "$TOPICFS" delete "$scratch"
expect_refusal 2 'no topic of a mounted topicfs' "$TOPICFS" delete "$mnt/web/0"
expect_refusal 2 'no topic of a mounted topicfs' "$TOPICFS" delete "$mnt"
expect_refusal 2 'no topic of a mounted topicfs' "$TOPICFS" delete "$mnt/.config"
expect_refusal 2 'PATH is missing' "$TOPICFS" delete
expect_refusal 2 'one argument too many' "$TOPICFS" undelete a b c
# By the path where it was: the one that was removed last.
expect_status 0 "$TOPICFS" undelete "$mnt/orders"
expect_equal "$mnt/orders" "$(cat "$scratch/out")"
expect_equal third "$(t cat "$mnt/orders/0")"
expect_refusal 2 'there is a topic of this name; give another' "$TOPICFS" undelete "$trash/orders.2"
expect_refusal 2 'is made of letters' "$TOPICFS" undelete "$trash/orders.2" 'a b'
(cd "$trash" && expect_status 0 "$TOPICFS" undelete orders.2 second)
expect_equal new "$(t cat "$mnt/second/0")"
expect_refusal 2 'no topic of this name is in the trash' "$TOPICFS" undelete "$mnt/second"
expect_refusal 2 'no topic of this name is in the trash' "$TOPICFS" undelete "$trash/nothing"
# The name that it had, whatever it is called in the trash.
t mv "$mnt/second" "$trash/x"
expect_status 0 "$TOPICFS" undelete "$trash/x"
expect_equal "$mnt/second" "$(cat "$scratch/out")"
longest=$(printf 'a%.0s' $(seq 249))
for _ in 1 2; do
    made "$longest" x
    expect_status 0 "$TOPICFS" delete "$mnt/$longest"
done
expect_equal "$trash/${longest:0:247}.2" "$(cat "$scratch/out")"
expect_status 0 "$TOPICFS" undelete "$trash/${longest:0:247}.2"
expect_equal "$mnt/$longest" "$(cat "$scratch/out")"

say "rm -r in the trash removes a topic for good, and nothing less does"
expect_errno EPERM rm "$mnt/web/0"
expect_errno EPERM rm -r "$mnt/web"
expect_equal x "$(t cat "$mnt/web/0")"
t touch "$mnt/web/1" "$mnt/web/2"
t "$TOPICFS" delete "$mnt/web" >/dev/null
expect_errno ENOTEMPTY rmdir "$trash/web"
t rm "$trash/web/0"
listed "$trash/web" '1 2'
expect_errno ENOTEMPTY rmdir "$trash/web"
t "$TOPICFS" undelete "$mnt/web" >/dev/null
expect_equal x "$(t cat "$mnt/web/0")"
listed "$mnt/web" '0 1 2'
t mv "$mnt/web" "$trash"
t rm -r "$trash/web"
expect_errno ENOENT ls "$trash/web"
is_gone "$data/trash/web" || fail "its files are there still"
expect_refusal 2 'no topic of this name is in the trash' "$TOPICFS" undelete "$trash/web"
t mkdir "$mnt/web"
expect_equal '' "$(t cat "$mnt/web/0")"
t rmdir "$mnt/web"
t rm -rf "$trash/$longest" "$mnt/nothing"

say "who reads goes on to the end, who follows ends there, and a writer loses nothing"
made log 0
t mkdir "$mnt/log/.groups/g"
background tail tail -n +1 -s 0.05 -f "$mnt/log/0"
tail=$background
background follow cat "$mnt/log/0+follow"
follow=$background
background all_follow cat "$mnt/log/all+follow"
all_follow=$background
background group cat "$mnt/log/.groups/g/0+follow"
group=$background
# O_RDWR goes through the daemon, and a shell cannot open so for appending.
cat >"$scratch/through.py" <<'END'
import os, sys
log = os.open(sys.argv[1], os.O_RDWR | os.O_APPEND)
print("open", flush=True)
for line in sys.stdin:
    os.write(log, line.encode())
END
mkfifo "$scratch/fifo"
exec 8<>"$scratch/fifo" # so that neither end waits for the other
background through python3 -u "$scratch/through.py" "$mnt/log/0" <"$scratch/fifo" 8>&-
through=$background
exec 7>>"$mnt/log/0" 9>>"$mnt/log/all"
wait_until 10 has_lines "$scratch/through" 1
append() { # NUMBER: three lines, each on its way
    echo "$1 past" >&7
    echo "$1 through" >&8
    echo "$1 all" >&9
}
append 1
wait_until 10 waiting_reads 3
for name in tail follow all_follow group; do wait_until 10 has_lines "$scratch/$name" 4; done
t mv "$mnt/log" "$trash/"
for name in follow all_follow group; do
    wait "${!name}" || fail "$name ended with $?: $(cat "$scratch/$name.err")"
    expect_equal 4 "$(wc -l <"$scratch/$name")" "lines of $name"
done
append 2
wait_until 10 has_lines "$scratch/tail" 7
expect_equal 7 "$(t grep -c . "$trash/log/0")" "lines in the trash"
expect_errno EROFS bash -c 'echo x >> "$1"' bash "$trash/log/0"
expect_errno EROFS cat "$trash/log/.groups/g/0"
expect_equal 4 "$(t cat "$trash/log/.groups/g/0.offset")" "what the group has committed"
# Nobody takes it away for good meanwhile.
expect_errno EBUSY rm -r "$trash/log"
t "$TOPICFS" undelete "$mnt/log" >/dev/null
append 3
exec 7>&- 8>&- 9>&-
wait "$through" || fail "the writer through the daemon ended with $?: $(cat "$scratch/through.err")"
tsh 'echo 4 >> "$mnt/log/0"'
wait_until 10 has_lines "$scratch/tail" 11
kill "$tail"
wait "$tail" || true
t cat "$mnt/log/0" >"$scratch/now"
expect_same_file "$scratch/now" "$scratch/tail"
for number in 1 2 3; do
    for way in past through all; do
        expect_equal 1 "$(grep -c "^$number $way\$" "$scratch/now")" "lines '$number $way'"
    done
done
expect_equal 7 "$(t cat "$mnt/log/.groups/g/0" | wc -l)" "what the group gets then"

say "what was appended a moment ago is let go of by rm -r"
made hot a
tsh 'for i in $(seq 50); do echo "$i" >> "$mnt/hot/0"; done; mv "$mnt/hot" "$mnt/.trash/" && rm -r "$mnt/.trash/hot"'
made slow a
exec 7>>"$mnt/slow/0"
t mv "$mnt/slow" "$trash/"
expect_errno EBUSY rm -r "$trash/slow"
exec 7>&-
wait_until 10 t rm -r "$trash/slow"

say "who may not write in the root may not remove a topic, nor take one out"
made mine x
as_other=(setpriv --reuid=12345 --regid=12345 --clear-groups)
t chmod 755 "$mnt"
expect_equal x "$(t "${as_other[@]}" cat "$mnt/mine/0")"
expect_status 0 "${as_other[@]}" "$TOPICFS" --version
expect_errno EACCES "${as_other[@]}" mv "$mnt/mine" "$trash/"
expect_errno EACCES "${as_other[@]}" "$TOPICFS" delete "$mnt/mine"
t mv "$mnt/mine" "$trash/"
expect_errno EACCES "${as_other[@]}" mv "$trash/mine" "$mnt/"
expect_errno EACCES "${as_other[@]}" rm -rf "$trash/mine"
listed "$trash/mine" 0

say "the trash outlives a restart and the daemon's death, and the data directory shows it without a mount"
t mkdir "$mnt/keep" "$mnt/keep/.groups/g"
tsh 'seq 1000 >> "$mnt/keep/0"; echo 300 > "$mnt/keep/.groups/g/0.offset"'
tsh 'echo 5 > "$mnt/keep/.config/seal.ms"'
exec 7>>"$mnt/keep/0"
t mv "$mnt/keep" "$trash/"
made keep another
removed=$(status .trash/keep/.status "s['removed_ms']")
echo 1001 >&7
kill_daemon
exec 7>&- || true
mount_over
expect_equal "$removed" "$(status .trash/keep/.status "s['removed_ms']")" "when it was removed"
expect_equal 1001 "$(t grep -c . "$trash/keep/0")" "lines"
restart
expect_equal "$removed" "$(status .trash/keep/.status "s['removed_ms']")" "when it was removed"
t mv "$trash/keep" "$mnt/kept"
t seq 1001 >"$scratch/wanted"
t cat "$mnt/kept/0" | cmp - "$scratch/wanted" || fail "not the same lines"
expect_equal 300 "$(t cat "$mnt/kept/.groups/g/0.offset")"
expect_equal 5 "$(t cat "$mnt/kept/.config/seal.ms")"
expect_equal another "$(t cat "$mnt/keep/0")"
t mv "$mnt/kept" "$trash/"
stop_mount
t "$TOPICFS" cat "$data" .trash/kept/0 | cmp - "$scratch/wanted" || fail "topicfs cat: not the same lines"
expect_equal 1001 "$(t "$TOPICFS" cat "$data" .trash/kept/0@-1)"
expect_refusal 2 'no such topic in the trash' "$TOPICFS" cat "$data" .trash/nothing/0
expect_status 0 "$TOPICFS" verify "$data"

say "a topic goes for good when its time is over"
start_mount
t test -e "$trash/kept/0"
tsh 'echo 50 > "$mnt/.config/log.retention.check.interval.ms"; echo 0 > "$mnt/.config/trash.retention.ms"'
is_empty() { [[ -z $(t ls -A "$trash") && -z $(ls -A "$data/trash") ]]; }
wait_until 20 is_empty
grep -q 'trash/kept: .* is purged' "$log" || fail "the log does not say that it is purged"
listed "$mnt" "$(t ls "$mnt" | paste -sd ' ')"
made open x
exec 7>>"$mnt/open/0"
t mv "$mnt/open" "$trash/"
# Three rounds are more than enough; what is open stays.
rounds() { [[ $(grep -c 'open: cannot purge: somebody has it open for appending' "$log") -ge 3 ]]; }
wait_until 20 rounds
echo y >&7
expect_equal $'x\ny' "$(t cat "$trash/open/0")"
exec 7>&-
wait_until 20 is_empty
stop_mount
