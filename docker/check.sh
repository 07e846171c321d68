#!/usr/bin/env bash
# Checks what the images name, without building them.
#
#   docker/check.sh           paths, arguments and launch files, with what this repository has
#   docker/check.sh --images  also every apt package inside each base image, and every base image (needs Docker
#                             and a network; a Jetson's images need an arm64 machine)
set -euo pipefail
cd "$(dirname "$0")/.."
problems=0
wrong() { printf 'wrong: %s\n' "$*" >&2; problems=$((problems + 1)); }
right() { printf 'ok: %s\n' "$*"; }

# Everything copied from the context is there.
while read -r path; do
  [ -e "$path" ] && right "COPY $path" || wrong "Dockerfile copies $path, which is not there"
done < <(sed -nE 's/^COPY ([^-][^ ]*) .*/\1/p' docker/Dockerfile)
[ -x docker/entrypoint.sh ] && right "entrypoint.sh can be run" || wrong "docker/entrypoint.sh is not executable"
for script in docker/*.sh; do bash -n "$script" && right "$script is a script"; done

# What the compose file starts exists, and the arguments it gives are the Dockerfile's.
while read -r launch; do
  [ -f "launch/$launch" ] && right "launch/$launch" || wrong "there is no launch/$launch"
done < <(grep -ohE '[a-z_]+\.launch\.py' docker/Dockerfile docker/compose.yaml | sort -u)
while read -r argument; do
  grep -qE "^ARG $argument(=|$)" docker/Dockerfile && right "argument $argument" || wrong "the Dockerfile has no argument $argument"
done < <(sed -nE 's/^        ([A-Z_]+): .*/\1/p' docker/compose.yaml | sort -u)
grep -q 'install(TARGETS\|install(PROGRAMS' CMakeLists.txt && right "CMakeLists.txt installs the program" || wrong "CMakeLists.txt installs no program"
version=$(sed -nE 's/^pub const VERSION: &str = "([^"]+)";/\1/p' src/model/runtime.rs)
grep -q "onnxruntime-gpu==$version" docker/compose.yaml && right "ONNX Runtime $version" || wrong "compose.yaml has another ONNX Runtime than src/model/runtime.rs ($version)"

# What package.xml wants at run time comes with ros-base or stands in the Dockerfile.
grep -q 'python3-pip' docker/Dockerfile && right "pip, which fetches the models" || wrong "python3-pip is missing"
rust=$(sed -nE 's/^rust-version = "([^"]+)"/\1/p' Cargo.toml)
grep -q "$rust" docker/Dockerfile && right "Rust $rust is asked for" || wrong "the Dockerfile does not name Rust $rust"

if [ "${1:-}" = --images ]; then
  packages() { sed -nE '/apt-get install/,/rm -rf/p' docker/Dockerfile | grep -oE '^      [a-z0-9".$_{}A-Z-]+ \\' | tr -d ' \\"' | grep -v GPU_PACKAGES; }
  bases=$(sed -nE 's/^        BASE: (.*)$/\1/p' docker/compose.yaml | sed -E 's/\$\{[A-Z0-9_]+:-([^}]*)\}/\1/g' | sort -u)
  for base in $bases; do
    distro=humble; case $base in *24.04*) distro=jazzy ;; esac
    names=$(packages | sed "s/\${ROS_DISTRO}/$distro/")
    gpu=$(grep -A4 -F "BASE: " docker/compose.yaml | grep -A4 -F "${base##*:}" | sed -nE 's/^ *GPU_PACKAGES: //p' | head -n 1)
    # Names of ROS packages are known only where its source is set up.
    script="apt-get update -qq; for name in $(echo $names $gpu | tr '\n' ' '); do case \$name in ros-*) [ -d /opt/ros ] || continue ;; esac; apt-cache show \$name >/dev/null 2>&1 && echo \"ok: \$name\" || { echo \"wrong: \$name\"; bad=1; }; done; exit \${bad:-0}"
    echo "== $base"
    docker run --rm --entrypoint bash "$base" -c "$script" || wrong "$base"
  done
fi
[ "$problems" -eq 0 ] || { printf '%s problems\n' "$problems" >&2; exit 1; }
