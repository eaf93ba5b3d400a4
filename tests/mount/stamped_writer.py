"""stamped_writer.py FILE NAME LOG UNTIL_MS held|opening: appends numbered lines to FILE, each by a single write(2), until
the wall clock is there. `held` keeps the file open for as long as it takes writes, `opening` opens it for each line.

A line is "NAME NUMBER BEGUN_NS filling". LOG gets a line for each: "NUMBER BEGUN_NS RETURNED_NS ok|failed". Where a write
fails because the daemon is dead, the next line has the next number: one that failed may have been stored.
"""
import errno
import os
import random
import sys
import time

path, name, log_path, until_ms, way = sys.argv[1:]
until_ns = int(until_ms) * 1_000_000
# What appends meet while the daemon is dead and its mount is taken away and made anew.
DEAD = {errno.ENOTCONN, errno.ECONNABORTED, errno.ENOENT, errno.EIO, errno.ENODEV, errno.ESTALE}
chance = random.Random(name)
log = open(log_path, "w", buffering=1 << 20)
fd = -1
number = 0
while time.time_ns() < until_ns:
    if fd < 0:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            if error.errno not in DEAD:
                raise
            time.sleep(0.002)
            continue
    filling = b"x" * (5000 if chance.random() < 0.02 else chance.randrange(100))
    begun = time.time_ns()
    line = b"%s %d %d %s\n" % (name.encode(), number, begun, filling)
    result = "ok"
    try:
        if os.write(fd, line) != len(line):
            sys.exit(f"{name}: a write was cut short")
    except OSError as error:
        if error.errno not in DEAD:
            raise
        result = "failed"
    log.write(f"{number} {begun} {time.time_ns()} {result}\n")
    number += 1
    if way == "opening" or result == "failed":
        try:
            os.close(fd)
        except OSError as error:
            if error.errno not in DEAD:
                raise
        fd = -1
    time.sleep(0.001)
