"""Has a file open for appending, and appends numbered lines to it when it is told to.

filling_writer.py PATH COPY: what was taken is written to COPY too. Commands, one a line, on standard input: `fill`, until
there is no room; `bytes N`, so many at least. After each the answer is one line: `full` or `done`.
"""

import errno
import os
import sys

path, copy_path = sys.argv[1:3]
file = os.open(path, os.O_WRONLY | os.O_APPEND)
copy = open(copy_path, "wb", buffering=0)
number = 0
rest = b""  # of what a write took a part of


def append():
    """Some lines; False where there is no room."""
    global number, rest
    if not rest:
        lines = [f"{n:09} {n * 2654435761 % 2**32:08x} {n * 40503 % 65536:04x}\n" for n in range(number, number + 200)]
        number += len(lines)
        rest = "".join(lines).encode()
    try:
        taken = os.write(file, rest)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return 0
    copy.write(rest[:taken])
    rest = rest[taken:]
    return taken


for command in sys.stdin:
    left = 1 << 62 if command.strip() == "fill" else int(command.split()[1])
    taken = 1
    while left > 0 and taken:
        taken = append()
        left -= taken
    print("done" if taken else "full", flush=True)
