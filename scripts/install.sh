#!/usr/bin/env bash
# Installs what a step needs and is not there yet:  scripts/install.sh build|test|interop|bench|fuzz|deny …
# A second run changes nothing and needs no network. Rust itself is presumed.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
export DEBIAN_FRONTEND=noninteractive

# The C compiler builds SQLite and, with cmake, libopus; ALSA is the sound of the phone.
build_packages="gcc make cmake pkg-config libasound2-dev libc6-dev"
interop_packages="sip-tester kamailio kamailio-tls-modules baresip-core coturn dnsmasq-base iproute2 iptables util-linux chromium openssl
  python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
# Other packages of Node.js than Debian's bring npm with them, and do not bear Debian's.
command -v npm >/dev/null || interop_packages="$interop_packages nodejs npm"
# Counts the instructions of the hot paths (guards/).
guard_packages="valgrind python3"
# What `make bench` measures beside Offhook, and SIPp for the cross-check.
peer_packages="kamailio rtpengine-daemon sip-tester python3"
# What its row of voice quality needs: a phone, speech, networks, and what builds the score (P.862) for Python.
voice_packages="baresip-core espeak-ng iproute2 util-linux python3-dev"

main() {
  [ $# -gt 0 ] || { echo "usage: $0 build|test|interop|bench|fuzz|deny …" >&2; exit 2; }
  for step in "$@"; do
    case $step in
      build)        packages $build_packages ;;
      test)         packages $build_packages $interop_packages $guard_packages; phones_environment; browser_modules ;;
      interop)      packages $build_packages $interop_packages; phones_environment; browser_modules ;;
      bench)        packages $build_packages $peer_packages $voice_packages; quality_environment ;;
      fuzz)         packages $build_packages g++; cargo_tool cargo-fuzz ;;
      deny)         cargo_tool cargo-deny ;;
      *) echo "$0: what is \"$step\"?" >&2; exit 2 ;;
    esac
  done
}

# packages NAME… : the Debian packages that are missing, in one go, tried twice.
packages() {
  local missing=() name
  if ! command -v dpkg-query >/dev/null; then
    echo "This is not Debian: please see to these packages (or their like) yourself: $*" >&2
    return
  fi
  for name in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "installing ${missing[*]}"
  install_packages "${missing[@]}" || { sleep 5; install_packages "${missing[@]}"; }
}

# A subshell, so that the guard goes away however this ends.
install_packages() (
  guard=/usr/sbin/policy-rc.d
  # No daemon may start by itself because its package came in. A guard that someone else put there stays.
  if [ ! -e $guard ]; then
    trap 'as_root rm -f $guard' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee $guard >/dev/null
    as_root chmod 755 $guard
  fi
  apt update && apt install -y --no-install-recommends "$@"
)

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else echo "$0: this needs root or sudo: $*" >&2; return 1
  fi
}

# The phones that Python drives.
phones_environment() { python_environment "$target/venv" 'aiosmtpd, numpy, pjsua2' interop/requirements.txt; }

# What scores a voice, and a phone.
quality_environment() { python_environment "$target/quality" 'av, numpy, pesq, pjsua2' bench/quality/requirements.txt; }

# python_environment FOLDER MODULES REQUIREMENTS : an environment of Python under the build directory.
python_environment() {
  local folder=$1 modules=$2 requirements=$3
  if "$folder/bin/python" -c "import $modules" 2>/dev/null; then return; fi
  local python=python3
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    packages python3 python3-venv
    python=/usr/bin/python3
  fi
  echo "preparing $folder"
  "$python" -m venv --clear "$folder"
  local pip=("$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements")
  "${pip[@]}" || { sleep 5; "${pip[@]}"; }
}

# The phone that runs in a browser, and what drives the browser, under the build directory.
browser_modules() {
  local folder=$target/browser
  if [ -s "$folder/jssip.bundle.js" ]; then return; fi
  echo "preparing $folder"
  mkdir -p "$folder"
  local npm=(npm install --silent --no-audit --no-fund --prefix "$folder" jssip@3.13.8 puppeteer-core@24 esbuild@0.25)
  "${npm[@]}" || { sleep 5; "${npm[@]}"; }
  (
    cd "$folder"
    echo 'import * as all from "jssip"; window.JsSIP = all.default || all;' > entry.js
    npx esbuild entry.js --bundle --log-level=warning --outfile=jssip.bundle.js
  )
}

# cargo_tool NAME : a cargo command, into the build directory's own tools.
cargo_tool() {
  if command -v "$1" >/dev/null || [ -x "$target/tools/bin/$1" ]; then return; fi
  cargo install --locked --root "$target/tools" "$1"
}

main "$@"
