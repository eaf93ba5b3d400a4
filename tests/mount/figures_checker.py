"""Checks figures against what FORMAT.md says of them.

figures_checker.py FORMAT.md status Topic|Store FILE    members, kinds, and that none is missing or undocumented
figures_checker.py FORMAT.md metrics FILE               the text format's rules, and that each family is documented
"""

import json
import re
import sys


def section(text, title):
    """What stands between that heading and the next of the same level."""
    lines = text.split(f"\n## {title}\n", 1)[1]
    return lines.split("\n## ", 1)[0]


def rows(text):
    for line in text.splitlines():
        if line.startswith("| `"):
            # A bar inside of a cell does not occur.
            yield [cell.strip() for cell in line.strip("|").split("|")]


def schemas(format_text):
    """Of each table of "Status": the kind of each member, and whether it may be missing."""
    tables = {}
    for part in section(format_text, "Status").split("\n### ")[1:]:
        name = part.split("\n", 1)[0]
        tables[name] = {}
        for member, kind, *_ in rows(part):
            kind, _, when = kind.partition(", ")
            tables[name][member.strip("`")] = (kind, when == "optional")
    return tables


class StatusChecker:
    KINDS = {
        "text": lambda value: isinstance(value, str),
        "number": lambda value: isinstance(value, int) and not isinstance(value, bool),
        "truth": lambda value: isinstance(value, bool),
        "list": lambda value: isinstance(value, list),
        "object": lambda value: isinstance(value, dict),
        "numbers": lambda value: isinstance(value, dict) and all(type(one) is int for one in value.values()),
    }

    def __init__(self, tables):
        self.tables = tables
        self.errors = []
        self.checked = 0

    def check_object(self, table, path, value, shown):
        """`path` is as the table has it, with a dot behind it where it is not empty."""
        schema = self.tables[table]
        here = {name[len(path) :] for name in schema if name.startswith(path)}
        here = {name for name in here if "." not in name and "[" not in name}
        for name in sorted(here - value.keys()):
            if not schema[path + name][1]:
                self.errors.append(f"{shown}{name}: is missing")
        for name, member in value.items():
            if name not in here:
                self.errors.append(f"{shown}{name}: is not documented")
                continue
            self.check_value(table, path + name, member, shown + name)

    def check_value(self, table, path, value, shown):
        kind = self.tables[table][path][0]
        self.checked += 1
        if kind in self.tables:
            self.check_object(kind, "", value, shown + ".")
            return
        if not self.KINDS[kind](value):
            self.errors.append(f"{shown}: {value!r} is no {kind}")
        elif kind == "list":
            for number, item in enumerate(value):
                self.check_object(table, path + "[].", item, f"{shown}[{number}].")
        elif kind == "object":
            self.check_object(table, path + ".", value, shown + ".")


METRIC = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"({METRIC})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ([0-9.e+-]+|\+Inf|-Inf|NaN)")


def check_metrics(format_text, text):
    documented = {}
    for names, kind, labels, _ in rows(section(format_text, "Metrics")):
        for name in re.findall("`([^`]+)`", names):
            documented[name] = (kind, set(re.findall("`([^`]+)`", labels)))
    errors = []
    seen = set()
    helped = name = kind = None
    samples = set()
    buckets = {}
    if not text.endswith("\n"):
        errors.append("the last line does not end")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped = line.split(" ", 3)[2]
            if helped in seen:
                errors.append(f"{helped}: comes twice")
            if len(line.split(" ", 3)) < 4:
                errors.append(f"{helped}: its help is empty")
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            seen.add(name)
            if name != helped:
                errors.append(f"{name}: its type does not follow its help")
            if name not in documented:
                errors.append(f"{name}: is not documented")
            elif documented[name][0] != kind:
                errors.append(f"{name}: is a {kind}, not a {documented[name][0]}")
            if (kind == "counter") != name.endswith("_total"):
                errors.append(f"{name}: counters, and nothing else, end in _total")
            continue
        match = SAMPLE.fullmatch(line)
        if not match:
            errors.append(f"no sample: {line}")
            continue
        base, labels, value = match.groups()
        names = set(re.findall(r'(?:^|,)([a-zA-Z_]\w*)="', labels or "")) - ({"le"} if kind == "histogram" else set())
        suffix = base[len(name) :] if name and base.startswith(name) else None
        if suffix not in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",)):
            errors.append(f"of another family than {name}: {line}")
        elif name in documented and names != documented[name][1]:
            errors.append(f"other labels than documented: {line}")
        if (base, labels) in samples:
            errors.append(f"comes twice: {line}")
        samples.add((base, labels))
        if kind == "counter" and float(value) < 0:
            errors.append(f"a counter below 0: {line}")
        if suffix == "_bucket":
            series = re.sub(r',?le="[^"]*"', "", labels)
            bound = float(re.search(r'le="([^"]*)"', labels).group(1))
            buckets.setdefault((name, series), []).append((bound, float(value)))
        if suffix == "_count":
            of_series = buckets.get((name, labels), [])
            if of_series != sorted(of_series) or not of_series or of_series[-1] != (float("inf"), float(value)):
                errors.append(f"buckets that do not grow up to the count: {line}")
            if [count for _, count in of_series] != sorted(count for _, count in of_series):
                errors.append(f"buckets that are not cumulative: {line}")
    return errors, seen, documented.keys()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        format_text = file.read()
    what = sys.argv[2]
    with open(sys.argv[-1], encoding="utf-8") as file:
        text = file.read()
    if what == "status":
        checker = StatusChecker(schemas(format_text))
        checker.check_object(sys.argv[3], "", json.loads(text), "")
        errors = checker.errors
        print(f"{checker.checked} members")
    else:
        errors, seen, documented = check_metrics(format_text, text)
        print(f"{len(seen)} of {len(documented)} families")
        for name in sorted(documented - seen):
            print(f"no samples: {name}")
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors or (what == "status" and checker.checked == 0) else 0


sys.exit(main())
