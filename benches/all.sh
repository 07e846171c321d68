#!/usr/bin/env bash
# The measurements of benches/README.md one after the other, about a quarter of an hour; what they print stays in
# target/speed/. Two programs more may be given to compare: `benches/all.sh OLD` measures OLD and this build in turns.
set -euo pipefail
cd "$(dirname "$0")/.."
rostro=target/release/rostro
out=target/speed
mkdir -p "$out"
step() {
  local name=$1
  shift
  printf '\n== %s: %s (%s, load %s)\n' "$name" "$*" "$(date +%T)" "$(cut -d' ' -f1 /proc/loadavg)" | tee "$out/$name.txt"
  "$@" 2>&1 | tee -a "$out/$name.txt"
}
step ratio $rostro bench --size 1280x720 --faces 0,5 --stages --secs 15
if [ $# -gt 0 ]; then
  for turn in 1 2; do step "before-$turn" "$1" bench --size 1280x720 --faces 0,5 --stages --secs 10
    step "after-$turn" $rostro bench --size 1280x720 --faces 0,5 --stages --secs 10; done
fi
step cameras $rostro bench --size 1280x720 --faces 1,5 --cameras 4 --secs 15
step live target/release/live
step peer benches/peer/run.py
step start $rostro bench --size 640x480 --faces 1 --stages --secs 2
step sizes $rostro bench --detector yunet-n-640 --size 640x480,1280x720,1920x1080 --faces 0,1,5,20 --secs 3
