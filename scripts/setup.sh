#!/bin/sh
# Makes a clone ready to run: dependencies (which bring the project's own Node), then the addon. Needs npm and a C compiler.
# Quiet and quick when there is nothing to do, so every npm script starts with it.
set -eu
cd "$(dirname "$0")/.."

installed=node_modules/.package-lock.json
if [ ! -e "$installed" ] || [ package-lock.json -nt "$installed" ]; then
    if ! command -v npm >/dev/null 2>&1; then
        echo 'setup: npm is missing; any version of Node.js brings it (Debian: apt-get install npm)' >&2
        exit 1
    fi
    echo 'setup: installing dependencies (npm ci)' >&2
    npm ci --no-audit --no-fund --loglevel=error >&2
    # npm may leave this file older than the lock file it follows.
    touch "$installed"
fi

if [ ! -x node_modules/.bin/node ]; then
    echo "setup: no Node.js 24 for $(uname -s) $(uname -m) in node_modules: supported are Linux x86_64 and aarch64," >&2
    echo 'setup: and npm must not omit optional dependencies' >&2
    exit 1
fi
exec node_modules/.bin/node scripts/build-native.ts
