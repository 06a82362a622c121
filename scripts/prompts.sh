#!/bin/sh
# Makes the prompts of the exchange out of their texts: crates/media/prompts/LANGUAGE.txt becomes
# crates/media/prompts/LANGUAGE/NAME.opus, and the list of all of them crates/media/src/prompts/list.rs.
# Needs espeak-ng, sox and opus-tools, which it installs if they are missing and it may.
set -eu
cd "$(dirname "$0")/.."

for tool in espeak-ng sox opusenc; do
  if ! command -v "$tool" >/dev/null; then
    apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends espeak-ng sox opus-tools
  fi
done

folder=crates/media/prompts
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

speak() { # language voice words-a-minute
  rm -rf "${folder:?}/$1" && mkdir -p "$folder/$1"
  grep -v '^#' "$folder/$1.txt" | while IFS="$(printf '\t')" read -r name text; do
    espeak-ng -b 1 -v "$2" -s "$3" -p 40 -w "$work/spoken.wav" "$text" </dev/null
    # Without the silence around it, as loud as the others.
    sox -D "$work/spoken.wav" -r 16000 -c 1 "$work/even.wav" \
      silence 1 0.01 0.3% reverse silence 1 0.01 0.3% pad 0.04 0.04 reverse gain -n -4 </dev/null
    opusenc --quiet --discard-comments --discard-pictures --padding 0 --bitrate 16 --framesize 20 --speech \
      --serial 1 "$work/even.wav" "$folder/$1/$name.opus" </dev/null
  done
}

speak en en-us 155
speak zh cmn-latn-pinyin 150

{
  echo "//! Made by scripts/prompts.sh."
  echo
  echo "/// Names and files of all prompts, by name."
  echo "pub(super) const PROMPTS: &[(&str, &[u8])] = &["
  (cd "$folder" && find en zh -name '*.opus' | sed 's/\.opus$//' | LC_ALL=C sort) | while read -r name; do
    echo "    (\"$name\", include_bytes!(\"../../prompts/$name.opus\")),"
  done
  echo "];"
} > crates/media/src/prompts/list.rs
du -sb "$folder" | cut -f1
