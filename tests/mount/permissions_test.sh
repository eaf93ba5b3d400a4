#!/bin/bash
# Owner and mode decide who may do what on a mount that root has made; the kernel enforces them.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need setpriv
export LC_ALL=C
chmod 755 "$scratch"

# as USER[:GROUP[,MORE...]] COMMAND...: by number.
as() {
    local who=$1 groups=()
    shift
    local user=${who%%:*} group=${who#*:}
    groups=(--clear-groups)
    if [[ $group == *,* ]]; then groups=(--groups "${group#*,}"); fi
    t setpriv --reuid "$user" --regid "${group%%,*}" "${groups[@]}" "$@"
}
may() { as "$1" bash -c "mnt=$mnt; $2" >"$scratch/out" 2>"$scratch/err" || fail "$1 may not: $2: $(cat "$scratch/err")"; }
may_not() {
    if as "$1" bash -c "mnt=$mnt; $2" >"$scratch/out" 2>"$scratch/err"; then fail "$1 may: $2"; fi
    grep -q "${3:-Permission denied}" "$scratch/err" || fail "$1: $2: $(cat "$scratch/err")"
}
owner() { t stat -c '%a %u %g' "$1"; }
alice=5001:6001
bob=5002:6002
carol=5003:6003,6001 # of alice's group too

start_mount
say "root's mount is open to all to look at, and root's to change"
may "$alice" 'ls $mnt >/dev/null; cat $mnt/.status >/dev/null; cat $mnt/.config/seal.ms'
may_not "$alice" 'mkdir $mnt/mine'
may_not "$alice" 'echo 1 > $mnt/.config/seal.ms'
may_not "$alice" 'chmod 777 $mnt' 'not permitted'
t mkdir "$mnt/theirs"
tsh 'echo one >> "$mnt/theirs/0"'
may "$alice" 'cat $mnt/theirs/0'
may_not "$alice" 'echo two >> $mnt/theirs/0'
may_not "$alice" 'touch $mnt/theirs/1'
may_not "$alice" 'echo zstd > $mnt/theirs/.config/compression.type'
may_not "$alice" 'rmdir $mnt/theirs'
may_not "$alice" 'touch -d yesterday $mnt/theirs/0' '\(not permitted\|denied\)'
expect_equal one "$(t cat "$mnt/theirs/0")" content

say "who may write the store's directory makes topics, which are his"
t chmod 1777 "$mnt"
may "$alice" 'umask 027; mkdir $mnt/alice; echo first >> $mnt/alice/0; echo p1 >> $mnt/alice/1'
expect_equal '750 5001 6001' "$(owner "$mnt/alice")" "alice's topic"
expect_equal '640 5001 6001' "$(owner "$mnt/alice/1")" "alice's partition"
may "$alice" 'cat $mnt/alice/0; chmod 600 $mnt/alice/1; echo lz4 > $mnt/alice/.config/compression.type'
may_not "$bob" 'ls $mnt/alice'
may_not "$bob" 'cat $mnt/alice/0'
may_not "$bob" 'echo x >> $mnt/alice/0'
may_not "$bob" 'cat $mnt/alice/.status'
may_not "$bob" 'cat $mnt/alice/.config/seal.ms'
may_not "$bob" 'rmdir $mnt/alice' '\(not permitted\|denied\|not empty\)'
may "$carol" 'cat $mnt/alice/0'
may_not "$carol" 'echo x >> $mnt/alice/0'
may_not "$carol" 'cat $mnt/alice/1'
may_not "$carol" 'touch $mnt/alice/2'
may_not "$alice" 'chown 5002 $mnt/alice/0' 'not permitted'
may "$alice" 'chmod 770 $mnt/alice; chmod 660 $mnt/alice/0'
may "$carol" 'echo by carol >> $mnt/alice/0; touch $mnt/alice/2'
expect_equal '5003 6003' "$(t stat -c '%u %g' "$mnt/alice/2")" "carol's partition of alice's topic"

say "in a setgid directory new partitions get its group"
may "$alice" 'mkdir $mnt/shared; chmod 2775 $mnt/shared'
may "$carol" 'umask 002; echo c >> $mnt/shared/1; chmod 664 $mnt/shared/1'
expect_equal '664 5003 6001' "$(owner "$mnt/shared/1")" "carol's partition"
may "$alice" 'echo a >> $mnt/shared/1'
may_not "$bob" 'echo b >> $mnt/shared/1'
t mkdir "$mnt/drop" # may be written by all, read by its owner only
t chown 5002 "$mnt/drop/0"
t chmod 622 "$mnt/drop/0"
may "$alice" 'echo secret >> $mnt/drop/0'
may_not "$alice" 'cat $mnt/drop/0'
may "$bob" 'grep -q secret $mnt/drop/0'
t chgrp 6001 "$mnt"
t chmod 3777 "$mnt"
may "$bob" 'mkdir $mnt/inherits'
expect_equal '5002 6001' "$(t stat -c '%u %g' "$mnt/inherits")" "a topic below a setgid directory"
[[ $(t stat -c %A "$mnt/inherits") == *s* ]] || fail "it is not setgid itself"

say "modes hold after a restart"
everything() { t find "$mnt" -printf '%p %m %u %g\n' | sort; }
before=$(everything)
restart
expect_equal "$before" "$(everything)" "owners and modes"
may_not "$bob" 'cat $mnt/alice/0'
may "$carol" 'echo again >> $mnt/alice/0'
expect_equal $'first\nby carol\nagain' "$(t cat "$mnt/alice/0")" content

say "a program with the setuid bit is none here"
may "$alice" 'cat /usr/bin/id > $mnt/shared/0; chmod 6755 $mnt/shared/0; test -x $mnt/shared/0'
expect_equal 5002 "$(as "$bob" "$mnt/shared/0" -u)" "user of a program on the mount"
stop_mount
