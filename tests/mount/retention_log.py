"""Appends numbered lines to a partition of a mount and trims it, until it is told to end or the daemon dies.

retention_log.py run PARTITION STATE TOPICFS SEED TRIMS: appends to PARTITION, a path in a mount; with TRIMS (0 or 1) it
trims it at random moments to random records. It writes to STATE at its end (SIGTERM, or the daemon's) what was acknowledged.
retention_log.py lines FILE GAPS: whether FILE has such lines, whole and in order, with GAPS (1) some may be missing.
retention_log.py check PARTITION STATE DATA RETENTION_BYTES BATCH_BYTES: whether what is there is what that left.
"""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

BOUNDS = {"next": 0, "acknowledged": 0, "rest": "", "start": 0, "trimmed": 0, "asked": 0, "trims": 0, "moved": 0}
FRAME = b"\x5d\x2a\x4d\x18"  # where the front of a segment was given back
LINE_BYTES_MAX = 300


def line(number):
    return b"%010d %s\n" % (number, b"abcdefghijklmnopqrstuvwxyz"[number % 26 :][:9] * (number * 7919 % 23))


def load(path):
    try:
        with open(path, encoding="ascii") as file:
            return json.load(file)
    except FileNotFoundError:
        return dict(BOUNDS)


def save(path, state):
    with open(path + ".new", "w", encoding="ascii") as file:
        json.dump(state, file)
    os.rename(path + ".new", path)


def partition_status(partition):
    topic, number = os.path.split(partition)
    with open(topic + "/.status", encoding="utf-8") as file:
        return json.load(file)["partitions"][int(number)]


class Run:
    def __init__(self, partition, state_path, topicfs, seed):
        self.partition = partition
        self.state_path = state_path
        self.state = load(state_path)
        self.topicfs = topicfs
        self.random = random.Random(seed)
        self.trim_random = random.Random(seed + 1)
        self.told = False  # to end; no Event, as a second signal may come while the first one is at it
        self.ended = threading.Event()

    def append(self):
        file = os.open(self.partition, os.O_WRONLY | os.O_APPEND)
        state = self.state
        while not self.told:
            first = state["acknowledged"]
            count = self.random.choice([1, 2, 5, 40])
            lines = [line(number) for number in range(first, first + count)]
            if state["rest"]:
                lines[0] = state["rest"].encode()
            state["next"] = first + count
            piece = b"".join(lines)
            if os.write(file, piece) != len(piece):
                return  # The next one fails.
            state["rest"] = ""
            state["acknowledged"] = first + count
            time.sleep(0.0005)  # so that retention keeps up

    def look(self):
        status = partition_status(self.partition)
        start = status["start_offset"]
        assert start >= self.state["start"], f"the log start went back from {self.state['start']} to {start}"
        self.state["start"] = start
        return status

    # False where it was told to end; OSError where the daemon is gone.
    def trim(self):
        state = self.state
        status = self.look()
        kept = status["end_offset"] - status["start_offset"]
        to_end = self.trim_random.random() < 0.1
        target = status["start_offset"] + int(kept * self.trim_random.random() * 0.3)
        point = "end" if to_end else str(target)
        if not to_end:
            state["asked"] = max(state["asked"], target)
        done = subprocess.run(
            [self.topicfs, "trim", self.partition, "--to", point, "--json"], capture_output=True, timeout=50, check=False
        )
        if to_end:
            state["asked"] = max(state["asked"], state["next"])
        if done.returncode < 0:
            return False  # It was told to end, as this was: timeout(1) tells all of its group.
        if done.returncode != 0:
            # Retention may have been faster; else the daemon has died, and the next may be there by now.
            if b"before the log start" not in done.stderr:
                self.look()
                deaths = [errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ENODEV]
                assert any(os.strerror(death).encode() in done.stderr for death in deaths), done.stderr.decode()
            return True
        start = json.loads(done.stdout)["partitions"][0]["start_offset"]
        assert start >= (0 if to_end else target), f"trimmed to {start}, not to {target}"
        state["trimmed"] = max(state["trimmed"], start)
        state["trims"] += 1
        return True

    def trim_on(self, failures):
        try:
            while not self.ended.is_set() and self.trim():
                self.ended.wait(self.trim_random.random() * 0.03)
        except (OSError, json.JSONDecodeError):
            pass  # The daemon has died.
        except Exception as error:  # pylint: disable=broad-except
            failures.append(error)

    def tell(self, *_):
        self.told = True

    def run(self, trims):
        signal.signal(signal.SIGTERM, self.tell)
        failures = []
        trimmer = threading.Thread(target=self.trim_on, args=(failures,))
        if trims:
            trimmer.start()
        print("runs", flush=True)
        try:
            self.append()
        except OSError as error:  # The daemon has died.
            print(error)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # too late to be told
        self.ended.set()
        if trims:
            trimmer.join()
        save(self.state_path, self.state)
        for failure in failures:
            raise failure


def read_all(path):
    """What the log holds; again where retention was faster."""
    while True:
        before = partition_status(path)
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as error:
            print(f"read again: {error}")
            continue
        if partition_status(path)["start_offset"] == before["start_offset"]:
            return before, content


def stored_bytes(directory):
    """Of segments, but for what was given back."""
    stored = 0
    for name in os.listdir(directory):
        if ".log." not in name:
            continue
        try:
            with open(f"{directory}/{name}", "rb") as file:
                front = file.read(64)
                stored += os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            continue
        if front[:4] == FRAME:
            stored -= int.from_bytes(front[56:64], "little")
    return stored


def check(partition, state_path, directory, retention_bytes, batch_bytes):
    state = load(state_path)
    deadline = time.monotonic() + 20
    kept_max = retention_bytes + 2 * batch_bytes + 20000
    while True:
        status, content = read_all(partition)
        stored = stored_bytes(directory) + status["end_position"] - status["sealed_position"]
        if stored <= kept_max:
            break
        assert time.monotonic() < deadline, f"{stored} bytes are stored, {kept_max} are enough"
    start = status["start_offset"]
    number = start
    at = 0
    while at < len(content):
        want = line(number)
        is_there = content[at : at + len(want)]
        if is_there != want:
            break
        at += len(want)
        number += 1
    rest = content[at:]
    assert line(number).startswith(rest), f"line {number} is {rest[:100]}, the log starts with {start}"
    assert len(rest) < LINE_BYTES_MAX
    assert status["end_offset"] == number, f"{status['end_offset']} records by .status, {number} by their numbers"
    floor = max(state["start"], state["trimmed"])
    assert start >= floor, f"the log starts with {start}, it was at {floor} already"
    assert number >= state["acknowledged"], f"the log ends with {number}, {state['acknowledged']} were acknowledged"
    assert number <= state["next"], f"the log ends with {number}, only {state['next']} were written"
    if start > max(floor, state["asked"]):
        state["moved"] += 1
        # By bytes: no more than it takes has gone.
        kept_min = retention_bytes * 9 // 10 - batch_bytes
        assert len(content) >= kept_min, f"only {len(content)} bytes are left of {retention_bytes} to be kept"
    state["start"] = start
    state["asked"] = max(start, min(state["asked"], number))
    state["next"] = state["acknowledged"] = number
    state["rest"] = line(number)[len(rest) :].decode() if rest else ""
    save(state_path, state)


def check_lines(path, may_have_gaps):
    with open(path, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    expected = None
    for text in lines:
        number = int(text[:10]) if text[:10].isdigit() else -1
        if number >= 0 and text == line(number) and (number == expected or expected is None or (may_have_gaps and number > expected)):
            expected = number + 1
            continue
        # Where something was left out the line before it is cut; the last line may be one that is being written.
        is_cut = may_have_gaps and expected is not None and cut_line_and_next(text, expected)
        is_last = text is lines[-1] and expected is not None and line(expected).startswith(text)
        assert is_cut or is_last, f"after {expected} comes {text}"
        expected = is_cut or expected


def cut_line_and_next(text, expected):
    """What follows the rest of a line that was cut, and a whole one behind it; nothing where it is something else."""
    for cut in range(1, len(text)):
        number = text[cut : cut + 10]
        if line(expected).startswith(text[:cut]) and number.isdigit() and text[cut:] == line(int(number)):
            return int(number) + 1
    return None


def main():
    mode, arguments = sys.argv[1], sys.argv[2:]
    if mode == "run":
        partition, state_path, topicfs, seed, trims = arguments
        Run(partition, state_path, topicfs, int(seed)).run(trims == "1")
    elif mode == "lines":
        check_lines(arguments[0], arguments[1] == "1")
    else:
        partition, state_path, directory, retention_bytes, batch_bytes = arguments
        check(partition, state_path, directory, int(retention_bytes), int(batch_bytes))


main()
