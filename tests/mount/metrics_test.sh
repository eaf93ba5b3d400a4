#!/bin/bash
# The figures in /.metrics and .status, as who watches a store reads them: their form, what they count, and that they are
# right.
source "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3 du
export LC_ALL=C

format=$tests_directory/../../src/format/FORMAT.md
checker=$tests_directory/figures_checker.py

# metric SAMPLE: its value in /.metrics; nothing where there is none.
metric() { t cat "$mnt/.metrics" | awk -v sample="$1" '$1 == sample { print $2 }'; }
# status PATH EXPRESSION: of a .status, as Python says it.
status() { t cat "$mnt/$1" | python3 -c "import json, sys; s = json.load(sys.stdin); print($2)"; }
metric_is() { [[ $(metric "$1") == "$2" ]]; }
metric_becomes() { wait_until 30 metric_is "$1" "$2"; }

# check_form: of all figures there are.
check_form() {
    local topic
    t cat "$mnt/.metrics" >"$scratch/metrics"
    t python3 "$checker" "$format" metrics "$scratch/metrics" >"$scratch/out" 2>&1 ||
        fail "/.metrics: $(cat "$scratch/out")"
    if command -v promtool >/dev/null; then
        t promtool check metrics <"$scratch/metrics" >"$scratch/out" 2>&1 || fail "promtool says: $(cat "$scratch/out")"
    fi
    t cat "$mnt/.status" >"$scratch/status"
    t python3 "$checker" "$format" status Store "$scratch/status" >"$scratch/out" 2>&1 ||
        fail "/.status: $(cat "$scratch/out")"
    for topic in $(ls "$mnt"); do
        t cat "$mnt/$topic/.status" >"$scratch/status"
        t python3 "$checker" "$format" status Topic "$scratch/status" >"$scratch/out" 2>&1 ||
            fail "$topic/.status: $(cat "$scratch/out")"
    done
}

# The two figures of the store and du, within one percent. What the daemon writes between them is waited for.
disk_agrees() {
    local of_du of_status of_metrics
    of_du=$(du -s --block-size=1 "$data" | cut -f 1)
    of_status=$(status .status 's["disk_bytes"]')
    of_metrics=$(metric topicfs_store_disk_bytes)
    disk_said="du says $of_du, .status $of_status, .metrics $of_metrics"
    ((of_status >= of_du - of_du / 100 && of_status <= of_du + of_du / 100)) &&
        ((of_metrics >= of_du - of_du / 100 && of_metrics <= of_du + of_du / 100))
}
expect_disk_agrees() {
    wait_until 30 disk_agrees
    say "$1: $disk_said"
}

if command -v promtool >/dev/null; then
    say "promtool checks /.metrics, too"
else
    say "promtool is not installed (Debian: prometheus): only the checker of this test looks at /.metrics"
fi

start_mount
say "an empty store has figures in their form"
check_form
expect_disk_agrees "empty"

say "what is appended, read and sealed is counted"
t mkdir "$mnt/orders"
tsh 'echo 600000 > "$mnt/orders/.config/seal.ms"'
tsh 'for i in $(seq 1000); do printf "line %04d\n" "$i"; done >> "$mnt/orders/0"'
metric_becomes 'topicfs_appended_bytes_total{topic="orders"}' 10000
metric_becomes 'topicfs_appended_records_total{topic="orders"}' 1000
expect_equal 10000 "$(metric 'topicfs_seal_lag_bytes{topic="orders",partition="0"}')" "seal lag"
[[ $(metric 'topicfs_seal_lag_seconds{topic="orders",partition="0"}') != 0 ]] || fail "what is unsealed has no age"
expect_equal 0 "$(metric 'topicfs_read_bytes_total{topic="orders"}')" "read bytes before anybody read"
t cat "$mnt/orders/0" >/dev/null
expect_equal 10000 "$(metric 'topicfs_read_bytes_total{topic="orders"}')" "read bytes"
expect_equal 1000 "$(metric 'topicfs_read_records_total{topic="orders"}')" "read records"
t cat "$mnt/orders/0@500..600" >/dev/null
expect_equal 1100 "$(metric 'topicfs_read_records_total{topic="orders"}')" "read records with a view"
t cat "$mnt/orders/all" >/dev/null
expect_equal 2100 "$(metric 'topicfs_read_records_total{topic="orders"}')" "read records with all"
tsh 'echo 1 > "$mnt/orders/.config/seal.ms"'
metric_becomes 'topicfs_sealed_bytes_total{topic="orders"}' 10000
metric_becomes 'topicfs_seal_lag_bytes{topic="orders",partition="0"}' 0
expect_equal 0 "$(metric 'topicfs_seal_lag_seconds{topic="orders",partition="0"}')" "age of what is unsealed"
expect_equal "$(status orders/.status 's["stored_bytes"]')" "$(metric 'topicfs_sealed_stored_bytes_total{topic="orders"}')"
expect_equal 1000 "$(metric 'topicfs_log_end_offset{topic="orders",partition="0"}')" "log end"
t cat "$mnt/orders/0" >/dev/null
[[ $(metric topicfs_read_cache_misses_total) -ge 1 ]] || fail "nothing was decoded"
check_form

say "groups have their lag, by partition"
t mkdir "$mnt/orders/.groups/billing"
tsh 'head -c 100 >/dev/null < "$mnt/orders/.groups/billing/0"' || true
tsh 'echo 400 > "$mnt/orders/.groups/billing/0.offset"'
expect_equal 600 "$(metric 'topicfs_group_lag_records{topic="orders",group="billing",partition="0"}')" "lag"
tsh 'cat "$mnt/orders/.groups/billing/0" >/dev/null'
metric_becomes 'topicfs_group_lag_records{topic="orders",group="billing",partition="0"}' 0
expect_equal 1000 "$(metric 'topicfs_group_committed_offset{topic="orders",group="billing",partition="0"}')" "commit"
check_form

say "requests have their kind and time, errors their name"
expect_errno EPERM rm "$mnt/orders/0"
[[ $(metric 'topicfs_fuse_errors_total{errno="EPERM"}') -ge 1 ]] || fail "the refusal is not counted"
expect_equal "$(metric 'topicfs_fuse_errors_total{errno="EPERM"}')" "$(status .status 's["request_errors"]["EPERM"]')"
reads=$(metric 'topicfs_fuse_request_duration_seconds_count{kind="READ"}')
[[ $reads -ge 10 && $reads -le $(metric 'topicfs_fuse_requests_total{kind="READ"}') ]] || fail "times of $reads reads"
if [[ $write_path == daemon ]]; then
    [[ $(metric 'topicfs_fuse_requests_total{kind="WRITE"}') -ge 1 ]] || fail "no write was counted"
fi

say "figures are those of the open, in however small pieces; their size is 0"
expect_equal 0 "$(t stat -c %s "$mnt/.metrics")" "size"
tsh 'exec 3< "$mnt/.metrics"
    head -c 100 <&3 > "$scratch/pieces"
    echo more >> "$mnt/orders/0"
    while dd bs=777 count=1 status=none <&3 > "$scratch/piece" && [[ -s $scratch/piece ]]; do
        cat "$scratch/piece" >> "$scratch/pieces"
    done'
t python3 "$checker" "$format" metrics "$scratch/pieces" >"$scratch/out" 2>&1 || fail "in pieces: $(cat "$scratch/out")"
cp "$mnt/.metrics" "$scratch/copy"
[[ -s $scratch/copy ]] || fail "cp copied nothing"
t grep -c topicfs_ "$mnt/.metrics" >/dev/null || fail "grep found nothing"
expect_errno EPERM bash -c 'echo x > "$1"' bash "$mnt/.metrics"
expect_errno ENOENT stat "$mnt/orders/.metrics"
! t ls -a "$mnt" | grep -q metrics || fail "/.metrics is listed"

say "the disk figures are what du says: codecs, groups, appends, a restart"
t mkdir "$mnt/many"
tsh 'echo 200 > "$mnt/many/.config/num.partitions"'
expect_disk_agrees "200 partitions without a record" # their directories and books are all there is
for codec in none lz4 zstd; do
    t mkdir "$mnt/$codec"
    tsh 'cd "$mnt/$1"; echo "$1" > .config/compression.type; echo 4 > .config/num.partitions; echo 1048576 > .config/segment.bytes
        for group in a b c; do mkdir .groups/$group; cat .groups/$group/all > /dev/null; done
        seq 300000 >> 0; seq 100000 >> 3' "$codec"
    expect_disk_agrees "appended to $codec"
    tsh 'echo 100 > "$mnt/$1/.config/seal.ms"; cat "$mnt/$1/.groups/a/all" > /dev/null' "$codec"
    metric_becomes "topicfs_seal_lag_bytes{topic=\"$codec\",partition=\"0\"}" 0
    expect_disk_agrees "sealed $codec"
done
check_form
restart
expect_disk_agrees "after a restart"
expect_equal 0 "$(metric 'topicfs_appended_records_total{topic="lz4"}')" "records appended since the restart"
check_form

if command -v prometheus-node-exporter >/dev/null && command -v curl >/dev/null; then
    say "the node exporter's textfile collector takes them through a link"
    mkdir "$scratch/textfiles"
    ln -s "$mnt/.metrics" "$scratch/textfiles/topicfs.prom"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    prometheus-node-exporter "--web.listen-address=127.0.0.1:$port" --collector.disable-defaults --collector.textfile \
        "--collector.textfile.directory=$scratch/textfiles" >"$scratch/exporter.log" 2>&1 &
    exporter=$!
    wait_until 30 t curl -fs -o "$scratch/scraped" "http://127.0.0.1:$port/metrics"
    kill "$exporter"
    wait "$exporter" || true
    grep -q '^node_textfile_scrape_error 0' "$scratch/scraped" || fail "it has met an error: $(cat "$scratch/exporter.log")"
    grep -q '^topicfs_log_end_offset{partition="0",topic="orders"} 1001' "$scratch/scraped" || fail "it has no log end"
else
    say "prometheus-node-exporter or curl is not installed: the way to Prometheus is not tried"
fi

say "each documented family has samples"
expect_errno ENOENT stat "$mnt/nothing"
check_form
t python3 "$checker" "$format" metrics "$scratch/metrics" >"$scratch/out"
! grep 'no samples' "$scratch/out" || fail "families without samples"
stop_mount
