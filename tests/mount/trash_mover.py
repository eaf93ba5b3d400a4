"""Moves topics of a mount to the trash, back, and out of it for good, until the daemon dies.

trash_mover.py MOUNT STATE: works on MOUNT, and writes to STATE after each step what was acknowledged.
trash_mover.py MOUNT STATE check: whether what is there is what that left.

Topic `a` stays for all rounds: it is moved, and gets a line now and then (numbers from 0). Each `v…` gets one line, is moved, and
is removed for good or brought back.
"""

import json
import os
import sys

mount, state_path = sys.argv[1:3]
trash = mount + "/.trash"


def load():
    try:
        with open(state_path, encoding="ascii") as file:
            return json.load(file)
    except FileNotFoundError:
        return {"lines": 0, "next": 0, "purged": [], "kept": [], "step": ""}


def save(state):
    with open(state_path + ".new", "w", encoding="ascii") as file:
        json.dump(state, file)
    os.rename(state_path + ".new", state_path)


def is_there(path):
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    return True


def place_of(name):
    """Where it is: in one place, or nowhere."""
    found = [path for path in (f"{mount}/{name}", f"{trash}/{name}") if is_there(path)]
    assert len(found) <= 1, f"{name} is there twice"
    return found[0] if found else None


def append(path, line):
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        assert os.write(file, line.encode()) == len(line)
    finally:
        os.close(file)


def move(state):
    while True:
        # What is about to be done is known, what was done is counted.
        state["step"] = "append"
        save(state)
        place = place_of("a")
        if place.startswith(trash):
            os.rename(place, mount + "/a")
        append(mount + "/a/0", f"{state['lines']}\n")
        state["lines"] += 1
        state["step"] = "move"
        save(state)
        os.rename(mount + "/a", trash + "/a")
        name = f"v{state['next']}"
        state["next"] += 1
        state["step"] = name
        save(state)
        os.mkdir(f"{mount}/{name}")
        append(f"{mount}/{name}/0", name + "\n")
        os.rename(f"{mount}/{name}", f"{trash}/{name}")
        if state["next"] % 3 == 0:
            os.rename(f"{trash}/{name}", f"{mount}/{name}")
            state["kept"].append(name)
        else:
            os.unlink(f"{trash}/{name}/0")
            os.rmdir(f"{trash}/{name}")
            state["purged"].append(name)
        save(state)


def lines_of(path):
    with open(path, encoding="ascii") as file:
        return file.read().splitlines()


def check(state):
    place = place_of("a")
    assert place, "a is gone"
    lines = lines_of(place + "/0")
    assert lines == [str(i) for i in range(len(lines))], "a has other lines"
    pending = 1 if state["step"] == "append" else 0
    assert state["lines"] <= len(lines) <= state["lines"] + pending, f"{len(lines)} lines, {state['lines']} acknowledged"
    state["lines"] = len(lines)
    left = set(os.listdir(mount) + os.listdir(trash)) - {"a"}
    assert not left & set(state["purged"]), f"back from the dead: {left & set(state['purged'])}"
    for name in state["kept"]:
        assert place_of(name) == f"{mount}/{name}", f"{name} is not where it was brought back to"
    for name in left:
        assert name in state["kept"] or name == state["step"], f"{name} is none of ours"
        content = lines_of(place_of(name) + "/0")
        assert content == [name] or (name == state["step"] and content == []), f"{name} has {content}"
    if state["step"] in left and state["step"] not in state["kept"]:
        if place_of(state["step"]).startswith(trash):
            os.rename(f"{trash}/{state['step']}", f"{mount}/{state['step']}")
        if lines_of(f"{mount}/{state['step']}/0"):
            state["kept"].append(state["step"])
        else:
            os.rmdir(f"{mount}/{state['step']}")
            state["purged"].append(state["step"])
    save(state)


if len(sys.argv) > 3:
    check(load())
else:
    try:
        move(load())
    except OSError as error:  # The daemon has died.
        print(error)
