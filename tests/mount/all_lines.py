#!/usr/bin/env python3
"""Lines that many writers append to T/all, cut by their buffers, and what must be there of them.

all_lines.py write FILE WRITER SEED COUNT BYTES_MIN BYTES_MAX BUFFER_BYTES KEYS REPORT [STOP]
    Appends the lines 0 to COUNT - 1 of WRITER, a letter, as stdio would: whenever BUFFER_BYTES are together. With STOP,
    the path of a file, it goes on after an error, once the file is there again, with the line whose write has failed,
    and ends early when STOP is there. REPORT tells what was done.
all_lines.py check SEED BYTES_MIN BYTES_MAX KEYS ORDER PARTITIONS ALL WRITER=REPORT...
    PARTITIONS are files, with commas between; ALL is a copy of T/all. ORDER is key (a key is in one partition, and its
    lines are in order there) or writer (a writer's lines are in order in ALL).

A line is "kNN;" with KEYS keys (without that, where there are none), writer and number, filler, and a checksum; one too
short for that is its writer's letter again and again.
"""
import collections
import contextlib
import json
import os
import random
import re
import sys
import time
import zlib

FILLER = random.Random(1).randbytes(40000).hex().encode()
NAMED = re.compile(rb"(?:(k\d+);)?([a-z])(\d+) ")


class Lines:
    """The lines of one writer: key and length by chance, the rest by the number."""

    def __init__(self, writer, seed, bytes_min, bytes_max, keys):
        self.writer = writer
        self.random = random.Random(f"{seed} {writer}")
        self.bounds = (bytes_min, bytes_max)
        self.keys = keys
        self.known = []

    def shape(self, number):
        while len(self.known) <= number:
            low, high = self.bounds
            length = min(high, int(low * (high / low) ** self.random.random() + self.random.random()))
            self.known.append((self.random.randrange(self.keys) if self.keys else None, length))
        return self.known[number]

    def line(self, number):
        key, length = self.shape(number)
        name = b"" if key is None else b"k%02d;" % key
        head = name + b"%s%d " % (self.writer.encode(), number)
        filler = length - len(head) - 9
        if filler < 0:
            return self.writer.encode() * (length - 1) + b"\n"
        begin = (number * 7919 + ord(self.writer) * 104729) % (len(FILLER) - filler)
        text = head + FILLER[begin : begin + filler]
        return text + b"%08x\n" % zlib.crc32(text)


class Writer:
    def __init__(self, path, lines, count, buffer_bytes, stop):
        self.path, self.lines, self.count, self.stop = path, lines, count, stop
        self.buffer_bytes = buffer_bytes
        self.failed = []
        self.restart_at(0)

    def restart_at(self, number):
        self.next = number  # to be put into the buffer
        self.buffer = b""
        self.first = number  # the line that the buffer begins in
        self.first_written = 0  # so many bytes of it

    def stops(self):
        """Not before all that failed is written."""
        in_doubt = self.failed[-1][2] if self.failed else -1
        return self.stop is not None and self.next > in_doubt and os.path.exists(self.stop)

    def open(self):
        deadline = time.monotonic() + 100
        while True:
            try:
                return os.open(self.path, os.O_WRONLY | os.O_APPEND)
            except OSError:
                if self.stop is None or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)  # looked at again

    def written(self, size):
        self.buffer = self.buffer[size:]
        size += self.first_written
        while self.first < self.next and size >= self.lines.shape(self.first)[1]:
            size -= self.lines.shape(self.first)[1]
            self.first += 1
        self.first_written = size

    def flush(self, size):
        """False where it has failed: then it begins with that line again."""
        while size > 0:
            try:
                stored = os.write(self.fd, self.buffer[:size])
            except OSError:
                if self.stop is None:
                    raise
                first, written, last = self.first, self.first_written, self.first
                end = written + size
                while end > self.lines.shape(last)[1]:
                    end -= self.lines.shape(last)[1]
                    last += 1
                self.failed.append((first, written, last))
                with contextlib.suppress(OSError):
                    os.close(self.fd)
                self.fd = self.open()
                self.restart_at(first)
                return False
            self.written(stored)
            size -= stored
        return True

    def run(self):
        self.fd = self.open()
        while True:
            while self.next < self.count and not self.stops():
                self.buffer += self.lines.line(self.next)
                self.next += 1
                if len(self.buffer) >= self.buffer_bytes:
                    self.flush(len(self.buffer) // self.buffer_bytes * self.buffer_bytes)
            if self.flush(len(self.buffer)):
                break
        os.close(self.fd)


def write(path, writer, seed, count, bytes_min, bytes_max, buffer_bytes, keys, report, stop=None):
    lines = Lines(writer, seed, int(bytes_min), int(bytes_max), int(keys))
    one = Writer(path, lines, int(count), int(buffer_bytes), stop)
    one.run()
    with open(report, "w") as file:
        json.dump({"lines": one.next, "failed": one.failed}, file)


class Checker:
    def __init__(self, seed, bytes_min, bytes_max, keys, reports):
        self.writers = {}
        self.reports = {}
        for text in reports:
            writer, path = text.split("=", 1)
            with open(path) as file:
                self.reports[writer] = json.load(file)
            self.writers[writer] = Lines(writer, seed, int(bytes_min), int(bytes_max), int(keys))
        self.problems = []

    def problem(self, text):
        self.problems.append(text)
        if len(self.problems) > 20:
            self.end()

    def end(self):
        for text in self.problems:
            print(text)
        sys.exit(1 if self.problems else 0)

    def known(self, line):
        """(writer, number) of a whole line that has both, else None."""
        found = NAMED.match(line)
        if not found or found[2].decode() not in self.writers:
            return None
        writer, number = found[2].decode(), int(found[3])
        if number >= self.reports[writer]["lines"] or line != self.writers[writer].line(number):
            return None
        return writer, number

    def may_be_extra(self):
        """The lines that failed writes have left in doubt: how often each may, and must, be there beside the one time
        that it was written, and how long a front of it must be there."""
        least, most, fronts = collections.Counter(), collections.Counter(), collections.defaultdict(list)
        for writer, report in self.reports.items():
            for first, written, last in report["failed"]:
                for number in range(first, last + 1):
                    most[writer, number] += 1
                if written > 0:
                    least[writer, first] += 1
                    fronts[writer, first].append(written)
        return least, most, fronts

    def check(self, partitions, all_path, order):
        least, most, fronts = self.may_be_extra()
        times, short, pieces = collections.Counter(), collections.Counter(), []
        where, last_number = {}, collections.defaultdict(dict)
        in_partition = []
        for partition, path in enumerate(partitions):
            in_partition.append([])
            with open(path, "rb") as file:
                for index, line in enumerate(file):
                    known = self.known(line)
                    if known is None:
                        text = line.rstrip(b"\n")
                        if line.endswith(b"\n") and len(set(text)) <= 1 and not most:
                            short[line] += 1
                        else:
                            pieces.append((path, index, line))
                        continue
                    times[known] += 1
                    in_partition[partition].append(known)
                    key = self.writers[known[0]].shape(known[1])[0]
                    if where.setdefault(key, partition) != partition and order == "key":
                        self.problem(f"{path}: line {index}: key {key} is in partition {where[key]} too")
        if order == "key":
            for partition, found in enumerate(in_partition):
                self.check_key_order(partition, found, most)
        self.check_pieces(pieces, least, most, fronts, times)
        self.check_times(times, short, least, most)
        self.check_all(all_path, in_partition, order, where)
        total = sum(times.values()) + sum(short.values())
        print(f"{total} lines, {len(pieces)} pieces, {sum(most.values())} in doubt")
        self.end()

    def check_key_order(self, partition, found, most):
        # Of what was tried again the last time counts.
        seen, smallest = set(), {}
        for writer, number in reversed(found):
            if (writer, number) in seen:
                continue
            seen.add((writer, number))
            by = writer, self.writers[writer].shape(number)[0]
            if number > smallest.get(by, number):
                self.problem(f"partition {partition}: line {number} of {writer} comes late: behind {smallest[by]}")
            smallest[by] = number

    def check_pieces(self, pieces, least, most, fronts, times):
        """Fronts of lines in doubt, with a delimiter. They count as that line."""
        for path, index, line in pieces:
            front = line[:-1]
            fits = [one for one in most if line.endswith(b"\n") and self.writers[one[0]].line(one[1]).startswith(front)]
            if not fits or not front:
                found = NAMED.match(line)
                named = [found[2].decode(), int(found[3])] if found else "nobody"
                self.problem(f"{path}: line {index} of {len(line)} bytes is {line[:60]} … {line[-40:]}, of {named}")
                continue
            # Of several the one that lacks most.
            one = max(fits, key=lambda fit: 1 + least[fit] - times[fit])
            times[one] += 1
            if fronts[one] and len(front) < min(fronts[one]) and most[one] == least[one]:
                self.problem(f"{path}: line {index}: {len(front)} bytes of {one}, {fronts[one]} were acknowledged")

    def check_times(self, times, short, least, most):
        wanted_short = collections.Counter()
        for writer, report in self.reports.items():
            for number in range(report["lines"]):
                line = self.writers[writer].line(number)
                one = writer, number
                if not NAMED.match(line):
                    wanted_short[line] += 1
                elif not 1 + least[one] <= times[one] <= 1 + most[one]:
                    self.problem(
                        f"line {number} of {writer}, {len(line)} bytes, is there {times[one]} times, not"
                        f" {1 + least[one]} to {1 + most[one]}"
                    )
        if short != wanted_short:
            self.problem(f"short lines: {short - wanted_short} too many, {wanted_short - short} too few")

    def check_all(self, path, in_partition, order, where):
        partition_of = {one: number for number, ones in enumerate(in_partition) for one in ones}
        got = [[] for _ in in_partition]
        last = {}
        sizes = 0
        with open(path, "rb") as file:
            for index, line in enumerate(file):
                sizes += len(line)
                known = self.known(line)
                if known is None:
                    continue
                if known not in partition_of:
                    self.problem(f"{path}: line {index}: {known} is in no partition")
                    continue
                got[partition_of[known]].append(known)
                if order == "writer" and known[1] < last.get(known[0], 0):
                    self.problem(f"{path}: line {index} is {known}, behind {last[known[0]]}")
                last[known[0]] = known[1]
        if got != in_partition:
            self.problem(f"{path} has not each partition's lines in their order")


def check(seed, bytes_min, bytes_max, keys, order, partitions, all_path, *reports):
    Checker(seed, bytes_min, bytes_max, keys, reports).check(partitions.split(","), all_path, order)


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](*sys.argv[2:])
