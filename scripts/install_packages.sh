#!/usr/bin/env bash
# Installs the packages of scripts/packages.txt that are missing. Does nothing, quickly, when all are there.
#
#   scripts/install_packages.sh [build|test]    "build": for the program; "test" (default): for the tests as well
set -euo pipefail

wanted=${1:-test}
list="$(dirname "$0")/packages.txt"
case $wanted in
  build) kinds='^build$' ;;
  test) kinds='^(build|test)$' ;;
  *) echo "usage: $0 [build|test]" >&2; exit 2 ;;
esac
architecture=$(dpkg --print-architecture 2> /dev/null || true)
mapfile -t packages < <(awk -v kinds="$kinds" -v here="$architecture" \
                            '$1 ~ kinds && ($3 == "" || $3 == here) { print $2 }' "$list")

if ! command -v dpkg-query > /dev/null; then
  echo "This system has no dpkg. Install the equivalents of: ${packages[*]}" >&2
  echo "(docs/dependencies.md says what each is for), then run: make SKIP_PACKAGES=1 <target>" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2> /dev/null || true)
  [[ $status == "install ok installed" ]] || missing+=("$package")
done
if [[ ${#missing[@]} -eq 0 ]]; then exit 0; fi

as_root=()
if [[ $EUID -ne 0 ]]; then
  if ! command -v sudo > /dev/null; then
    echo "These packages are missing and installing them needs root or sudo:" >&2
    echo "    apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

apt_install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

echo "Installing ${missing[*]}" >&2
# The package index of a fresh system is empty or old: fetch it only when the first try fails.
if ! apt_install > /dev/null 2>&1; then
  "${as_root[@]}" apt-get update
  apt_install
fi
