#!/usr/bin/env python3
"""Prints files over 300 lines and functions over 40 (CONTRIBUTING.md gives them as aims). Information only.

A function is found by its closing brace: Google style puts it alone in the column where the definition began, so a body
is what lies between a line that ends in "{" and the "}" of the same indentation. Namespaces, types and data do not count.

Usage: check_sizes.py [ROOT]
"""

import pathlib
import re
import sys

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
NOT_A_FUNCTION = re.compile(r"^\s*(namespace|class|struct|union|enum|extern|if|for|while|switch|do|else|try|catch|#)\b|=\s*\{$")
OPENS_BODY = re.compile(r"\)[^;]*\{$|^\s+:.*\{$")


def long_functions(lines):
    """(first line number, length, text of the opening line) of functions longer than the aim."""
    found, signature_begin = [], None
    for number, line in enumerate(lines):
        if not line.strip() or line.rstrip().endswith((";", "}", ":")):
            signature_begin = None
            continue
        if signature_begin is None:
            signature_begin = number
        if not OPENS_BODY.search(line) or NOT_A_FUNCTION.search(lines[signature_begin]):
            if line.rstrip().endswith("{"):
                signature_begin = None
            continue
        first = lines[signature_begin]
        closing = " " * (len(first) - len(first.lstrip())) + "}"
        end = next((n for n in range(number + 1, len(lines)) if lines[n].rstrip() == closing), None)
        if end is not None and end - signature_begin + 1 > MAX_FUNCTION_LINES:
            found.append((signature_begin + 1, end - signature_begin + 1, first.strip()))
        signature_begin = None
    return found


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    for top in ("include", "src", "apps", "bindings", "tests", "bench", "tools"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in {".h", ".cc", ".cu", ".py"}:
                continue
            lines = path.read_text(encoding="utf-8").splitlines()
            name = path.relative_to(root)
            if len(lines) > MAX_FILE_LINES:
                print(f"{name}: {len(lines)} lines")
            if path.suffix != ".py":
                for number, length, text in long_functions(lines):
                    print(f"{name}:{number}: {length} lines: {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
