#!/usr/bin/env python3
"""What group_workers_test.sh runs.

write STOP PARTITION-FILE... WRITER: appends "PARTITION WRITER NUMBER" lines to the partitions in turn until STOP is
    there.
work STREAM LOG: a reader of a group's stream. Before it comes back for more it notes in LOG what it was given, and when
    it has come back, that it has. A line of LOG: "got N" and the N lines that follow, "back".
check DIRECTORY LOG...: what the logs say of the partitions 0, 1, … in DIRECTORY.
"""
import collections
import errno
import itertools
import os
import random
import sys
import time


def write(stop, *arguments):
    *paths, writer = arguments
    files = [os.open(path, os.O_WRONLY | os.O_APPEND) for path in paths]
    for number in itertools.count():
        if os.path.exists(stop):
            return
        partition = number % len(files)
        lines = b"".join(b"%d %s %d\n" % (partition, writer.encode(), 50 * number + i) for i in range(50))
        while lines:
            try:
                lines = lines[os.write(files[partition], lines):]
            except OSError:
                return  # The daemon has died.
        time.sleep(0.002)  # so that workers have to wait


def work(stream, log):
    """One log a session. "back" is noted once the next read has returned: what it was killed in before is in doubt."""
    deadline = time.monotonic() + 60
    while True:  # The dead mount goes when its last file is closed; a new one is there soon.
        try:
            file = os.open(stream, os.O_RDONLY)
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    to = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    is_first = True
    while True:
        try:
            got = os.read(file, 16384)
        except OSError as error:
            assert error.errno in (errno.ECONNABORTED, errno.ENOTCONN), error
            return  # The daemon has died.
        lines = got.split(b"\n")
        assert lines.pop() == b"", got[-100:]
        # One write, so that a kill leaves none or all of it.
        note = b"" if is_first else b"back\n"
        if got:
            note += b"got %d %d\n" % (len(lines), time.monotonic_ns()) + got
        os.write(to, note)
        is_first = False
        assert got, "end-of-file, where a read waits"
        time.sleep(random.random() / 100)  # work, in which it is killed with records in hand


def sessions(paths):
    for path in paths:
        with open(path, "rb") as file:
            lines = iter(file.read().split(b"\n")[:-1])
        batches = []
        for line in lines:
            word, *rest = line.split()
            if word == b"got":
                batches.append([int(rest[1]), False, [next(lines) for _ in range(int(rest[0]))]])
            else:
                assert word == b"back", (path, line)
                batches[-1][1] = True
        yield path, batches


def check(directory, *logs):
    places = []
    number = 0
    while os.path.exists(f"{directory}/{number}"):
        with open(f"{directory}/{number}", "rb") as file:
            lines = file.read().split(b"\n")[:-1]
        places.append({line: offset for offset, line in enumerate(lines)})
        assert len(places[-1]) == len(lines), f"{number}: a line is there twice"
        number += 1
    given = [collections.defaultdict(list) for _ in places]  # offset: (when, whether he came back, to whom)
    times = 0
    for path, batches in sessions(logs):
        last = {}
        for got_at, came_back, lines in batches:
            partitions = {int(line.split()[0]) for line in lines}
            assert len(partitions) == 1, (path, partitions)
            partition = partitions.pop()
            for line in lines:
                assert line in places[partition], (path, line)
                offset = places[partition][line]
                times += 1
                given[partition][offset].append((got_at, came_back, path))
                assert last.get(partition, -1) < offset, f"{path}: {partition}/{offset} after {last[partition]}"
                last[partition] = offset
    for partition, wanted in enumerate(places):
        lost = sorted(set(wanted.values()) - set(given[partition]))
        assert not lost, f"{len(lost)} records of {partition} were given to nobody: {lost[:10]}"
        # Who came back has had it alone from when he got it on.
        for offset, those in given[partition].items():
            those.sort()
            assert not any(came_back for _, came_back, _ in those[:-1]), f"{partition}/{offset} was given again: {those}"
    records = sum(map(len, places))
    print(f"{records} records, {times - records} given again, {len(logs)} sessions")


{"write": write, "work": work, "check": check}[sys.argv[1]](*sys.argv[2:])
