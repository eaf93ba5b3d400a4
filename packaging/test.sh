#!/bin/bash
# Installs what the tests need, builds, and runs them. As root the tests that mount run too; else they are skipped.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

usage() {
    cat <<'USAGE'
Usage: [sudo] packaging/test.sh [--quick | --long] [--preset NAME]

  --quick         leave out the tests labelled `big`
  --long          with those labelled `long`, of a quarter of an hour each, which are left out else
  --preset NAME   dev (the default), asan-ubsan or tsan
  --help          show this text
USAGE
}

preset=dev
selection=(--label-exclude '^long$')
while [[ $# -gt 0 ]]; do
    case $1 in
        --quick) selection=(--label-exclude '^(big|long)$') ;;
        --long) selection=() ;;
        --preset)
            [[ $# -ge 2 ]] || die "--preset needs a name (see --help)"
            preset=$2
            shift
            ;;
        --preset=*) preset=${1#*=} ;;
        --help | -h)
            usage
            exit 0
            ;;
        *) die "unknown option $1 (see --help)" ;;
    esac
    shift
done
[[ $preset =~ ^(dev|asan-ubsan|tsan)$ ]] || die "no such preset: $preset (dev, asan-ubsan or tsan)"

test_packages=(catch2 libbenchmark-dev ccache lz4 zstd ripgrep rsync strace attr e2fsprogs xfsprogs busybox curl pv python3 procps)
ensure_packages "${build_packages[@]}" "${test_packages[@]}"
ensure_fuse || say "there is no /dev/fuse: tests that mount are skipped"
[[ $EUID -eq 0 ]] || say "not root: most tests that mount are skipped"
build_preset "$preset"
# Beside the tests: to install these would start servers on this machine.
tools=$source_directory/build/tools
for tool in prometheus:promtool prometheus-node-exporter:prometheus-node-exporter; do
    if ! command -v "${tool#*:}" >/dev/null && [[ ! -x $tools/usr/bin/${tool#*:} ]]; then
        fetch_package "${tool%:*}" "$tools" || say "there is no ${tool#*:} to be had: what it checks is left out"
    fi
done
export PATH=$PATH:$tools/usr/bin
say "running the tests"
status=0
(cd "$source_directory" && ctest --test-dir "build/$preset" --output-on-failure --parallel "$jobs" \
    --no-tests=error "${selection[@]}" </dev/null) || status=$?
give_back "$source_directory/build"
[[ $status -eq 0 ]] || die "tests failed; one of them again: ctest --test-dir build/$preset --output-on-failure -R NAME"
