#!/usr/bin/env bash
# The measurements of benches/README.md but the longest, one after the other, in about a quarter of an hour. What
# they print stays in target/speed/. An older program may be given to be measured in turns with this one:
#
#   benches/all.sh [OLD_ROSTRO]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --bin rostro --bench live
rostro=target/release/rostro
live=$(find target/release/deps -name 'live-*' -type f -executable -printf '%T@ %p\n' | sort -rn | head -n 1 | cut -d' ' -f2)
out=target/speed
mkdir -p "$out"

step() {
  local name=$1
  shift
  printf '\n== %s: %s (%s, load %s)\n' "$name" "$*" "$(date +%T)" "$(cut -d' ' -f1 /proc/loadavg)" | tee "$out/$name.txt"
  "$@" 2>&1 | tee -a "$out/$name.txt"
}

step ratio "$rostro" bench --size 1280x720 --faces 0,5 --stages --secs 15
step live "$live" --detector yunet-n-dynamic
step live-floats "$live" --detector yunet-n-dynamic --emotion rostro-emotion
step peer benches/peer/run.py
step cameras "$rostro" bench --size 1280x720 --faces 1,5 --cameras 4 --secs 15
step start "$rostro" bench --size 640x480 --faces 1 --stages --secs 2
if [ $# -gt 0 ]; then
  for turn in 1 2; do
    step "before-$turn" "$1" bench --detector yunet-n-640 --size 1280x720 --faces 0,5 --secs 10 --stages
    step "after-$turn" "$rostro" bench --detector yunet-n-640 --size 1280x720 --faces 0,5 --secs 10 --stages
  done
fi
step sizes "$rostro" bench --detector yunet-n-640 --size 640x480,1280x720,1920x1080 --faces 0,1,5,20 --secs 3
