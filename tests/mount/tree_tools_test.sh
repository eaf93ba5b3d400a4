#!/bin/bash
# grep -r, find, cp -r, rsync, tar and du over a mount with several topics see each record once, and nothing that is not
# listed. The days' files are what backups go by: a day that is over never changes.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3 rsync tar
export LC_ALL=C TZ=UTC

start_mount
# Several topics: with dots in a name, without records, of bytes.
tsh 'cd "$mnt"; mkdir web web.eu empty bytes
    echo 100 > web/.config/seal.bytes; echo 20 > web/.config/seal.ms
    echo none > bytes/.config/record.delimiter
    touch web/1 web/2
    for i in $(seq 100); do echo "web.0 $i END" >> web/0; echo "web.1 $i END" >> web/1; done
    echo "web.2 END" >> web/2
    for i in $(seq 30); do echo "all $i END"; done >> web/all
    for i in $(seq 50); do echo "eu $i END"; done | tee -a web.eu/0 > /dev/null
    printf "no line END" >> bytes/0'
lines=$((100 + 100 + 1 + 30 + 50 + 1))
today=$(date -u +%F)
[[ $(date -u +%F) == "$today" ]] || skip "midnight came in the middle of the test"

say "only topics and partitions are listed"
t find "$mnt" | sed "s|^$mnt||" | sort >"$scratch/found"
printf '%s\n' '' /bytes /bytes/0 /empty /empty/0 /web /web.eu /web.eu/0 /web/0 /web/1 /web/2 | sort >"$scratch/wanted"
expect_same_file "$scratch/wanted" "$scratch/found"
expect_equal "0 1 2" "$(t ls -A "$mnt/web" | paste -sd ' ')" "ls -A of a topic"
expect_equal ". .. 0 1 2" "$(t ls -a "$mnt/web" | paste -sd ' ')" "ls -a of a topic"
expect_equal "bytes empty web web.eu" "$(t ls -A "$mnt" | paste -sd ' ')" "ls -A of the root"
# By inode numbers, too: no tool may take two of them for hard links of one file.
t find "$mnt" -printf '%i\n' | sort | uniq -d >"$scratch/doubled"
[[ ! -s $scratch/doubled ]] || fail "two files have one inode number"

say "what reads all of it sees each record once"
expect_equal "$lines" "$(t grep -rao END "$mnt" | wc -l)" "grep -r"
expect_equal "$lines" "$(t find "$mnt" -type f -exec cat {} + | grep -ao END | wc -l)" "find -exec cat"
t cp -r "$mnt" "$scratch/copied"
t rsync -a "$mnt/" "$scratch/synced/"
t tar -C "$mnt" -cf "$scratch/all.tar" .
mkdir "$scratch/untarred"
t tar -C "$scratch/untarred" -xf "$scratch/all.tar"
for copy in copied synced untarred; do
    (cd "$scratch/$copy" && find .) | sed 's|^\.||' | sort >"$scratch/found"
    expect_same_file "$scratch/wanted" "$scratch/found"
    expect_equal "$lines" "$(grep -rao END "$scratch/$copy" | wc -l)" "lines in $copy"
    t diff -r "$mnt" "$scratch/$copy" || fail "$copy is another"
done
apparent=$(t du -sb --apparent-size "$mnt" | cut -f 1)
sizes=$(t find "$mnt" -type f -printf '%s\n' | paste -sd +)
((apparent >= sizes && apparent <= sizes + 5 * 65536)) || fail "du --apparent-size says $apparent, files have $((sizes))"

say "views are copied as files"
t cp "$mnt/web/0@-15m" "$mnt/web/all@-5" "$mnt/web/0@3..7" "$scratch"
expect_same_file "$mnt/web/0" "$scratch/0@-15m"
expect_equal 5 "$(wc -l <"$scratch/all@-5")" "lines of all@-5"
expect_equal "web.0 4 END" "$(head -n 1 "$scratch/0@3..7")" "the first line of 0@3..7"
(cd "$scratch" && t cp "$mnt/web/1@-15m" .)
expect_same_file "$mnt/web/1" "$scratch/1@-15m"
t rsync -a "$mnt/web/0@3..7" "$scratch/by_rsync"
expect_same_file "$scratch/0@3..7" "$scratch/by_rsync"

say "rsync of the days copies the second time only what is new"
# rsync_days WANTED: what is itemized, names only; but for the folder itself, which a test may have made in the same second.
rsync_days() {
    local itemized
    itemized=$(t rsync -a --itemize-changes "$mnt/web/.days/" "$scratch/days/" | cut -d ' ' -f 2- | sed '/^\.\/$/d' | sort | paste -sd ' ')
    expect_equal "$1" "$itemized" "what rsync copies"
}
mkdir "$scratch/days"
rsync_days "$today/ $today/0 $today/1 $today/2 $today/all"
rsync_days ""
tsh 'echo "later END" >> "$mnt/web/1"'
all_has_it() { t grep -q later "$mnt/web/.days/$today/all"; }
wait_until 20 all_has_it
rsync_days "$today/1 $today/all"
rsync_days ""
expect_equal "$((100 + 100 + 1 + 30 + 1))" "$(cat "$scratch/days/$today"/[0-9]* | wc -l)" "lines in the days' files"
expect_same_file <(sort "$scratch/days/$today"/[0-9]*) <(sort "$scratch/days/$today/all")
restart
rsync_days ""
t find "$mnt/web/.days" | sed "s|^$mnt/web/.days||" | sort >"$scratch/found"
printf '%s\n' '' "/$today" "/$today/0" "/$today/1" "/$today/2" "/$today/all" | sort >"$scratch/wanted"
expect_same_file "$scratch/wanted" "$scratch/found"
stop_mount

say "a day that is over does not change"
# A zone in which midnight is some seconds from now.
west=$((($(date +%s) + 5) % 86400))
TZ=$(printf 'TST%d:%02d:%02d' $((west / 3600)) $((west / 60 % 60)) $((west % 60)))
export TZ
begin=$(date +%F)
start_mount
t mkdir "$mnt/night"
tsh 'touch "$mnt/night/1"; for i in 1 2 3; do echo "old $i" >> "$mnt/night/0"; echo "old $i" >> "$mnt/night/1"; done'
next_day() { [[ $(date +%F) != "$begin" ]]; }
wait_until 20 next_day
describe() { t stat -c '%n %i %s %y %z %a %u' "$mnt/night/.days/$begin"/{0,1,all} "$mnt/night/.days/$begin"; }
expect_equal 3 "$(t grep -c old "$mnt/night/.days/$begin/0")" "lines of the day that is over"
described=$(describe)
tsh 'for i in $(seq 100); do echo "new $i" >> "$mnt/night/0"; done; echo new >> "$mnt/night/all"'
expect_equal "$described" "$(describe)" "after appends"
tsh 'echo 10 > "$mnt/night/.config/seal.bytes"; echo 20 > "$mnt/night/.config/seal.ms"; echo new >> "$mnt/night/1"'
restart
expect_equal "$described" "$(describe)" "after a restart"
kill_daemon
mount_over
expect_equal "$described" "$(describe)" "after a death"
expect_equal 3 "$(t grep -c . "$mnt/night/.days/$begin/0")" "lines of the day that is over"
stop_mount
