"""stall_watch.py FILE LOG: every few milliseconds a small write to FILE, as a daemon does that keeps times. LOG gets a line
"BEGIN_NS END_NS" for each span of more than 10 ms in which that was not to be had of this machine. Until SIGTERM.
"""
import os
import sys
import time

fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
log = open(sys.argv[2], "w", buffering=1)
last = time.time_ns()
while True:
    os.pwrite(fd, b"x" * 32, 0)
    now = time.time_ns()
    if now - last > 10_000_000:
        log.write(f"{last} {now}\n")
    last = now
    time.sleep(0.002)
