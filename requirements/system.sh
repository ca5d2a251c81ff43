#!/bin/sh
# Print a Python 3.11 that can make virtual environments, after seeing to the two libraries that MXNet's wheel links to, and to
# the commands named as arguments.
# On Debian, as root, what is missing is installed; elsewhere one command says what to do. Talk goes to stderr.
set -eu

usable() {
    "$1" -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in "${PYTHON:-}" python3.11 /usr/bin/python3.11; do
        if [ -n "$candidate" ] && usable "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

has_library() {
    # ldconfig is in /sbin, which is not on every user's path.
    { /sbin/ldconfig -p 2>/dev/null || true; } | grep -q "$1"
}

missing=""
find_python >/dev/null || missing="$missing python3.11 python3.11-venv"
has_library libgomp.so.1 || missing="$missing libgomp1"
has_library libquadmath.so.0 || missing="$missing libquadmath0"
for command in "$@"; do
    command -v "$command" >/dev/null || missing="$missing $command"
done

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing$missing with apt-get" >&2
        export DEBIAN_FRONTEND=noninteractive
        # shellcheck disable=SC2086 # a list of words
        { apt-get install -y -qq --no-install-recommends $missing 2>/dev/null ||
            { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; }; } >/dev/null
    else
        echo "missing:$missing. On Debian: sudo apt-get install$missing" >&2
        exit 1
    fi
fi

find_python || {
    echo "no Python 3.11 with venv and ensurepip found; name one: make env PYTHON=/path/to/python3.11" >&2
    exit 1
}
