#!/bin/sh
# check_isa_symbols.sh NM ARCHIVE: fails if an object compiled for a particular instruction set holds a weak symbol.
# The linker keeps one copy of a weak function for the whole program; were it that one, processors without the
# instruction set would meet it anywhere.
set -eu
nm=$1
archive=$2
symbols=$("$nm" -A "$archive" | grep -E '(generic|avx[0-9]+(_[a-z0-9]+)?|neon(_[a-z0-9]+)?)\.cc\.o:')
if [ -z "$symbols" ]; then
  echo "no instruction-set objects in $archive" >&2
  exit 1
fi
# Types W, V: weak; u: unique, shared across the program in the same way. Sanitizers add weak hooks of their own.
if printf '%s\n' "$symbols" | grep -E ' [WwVvu] ' | grep -vE '(asan|ubsan|tsan|sanitizer|odr)'; then
  echo "weak symbols in instruction-set objects (above)" >&2
  exit 1
fi
