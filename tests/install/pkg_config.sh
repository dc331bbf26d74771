#!/usr/bin/env bash
# pkg_config.sh COMPILER LIBDIR SOURCE MODEL: builds SOURCE with the flags of the installed qasr.pc and runs it.
set -euo pipefail
compiler=$1 libdir=$2 source=$3 model=$4
export PKG_CONFIG_PATH="$libdir/pkgconfig"
program=$(mktemp)
trap 'rm -f "$program"' EXIT
# The flags are words to split.
# shellcheck disable=SC2046
"$compiler" -std=c++20 "$source" -o "$program" $(pkg-config --cflags --libs qasr) -Wl,-rpath,"$libdir"
"$program" "$model"
