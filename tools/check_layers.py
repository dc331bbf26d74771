#!/usr/bin/env python3
"""Checks who includes whom: reads every #include under include/, src/, apps/ and bindings/.

    include/qasr <- base <- tensor <- { audio, text, weights, backend } <- model <- engine
    include/qasr <- base <- output
    include/qasr <- { capi, server, apps, bindings }
    engine <- bench <- the files of apps/qasr named bench*
    include/qasr <- base <- server <- the files of apps/qasr named serve*

A folder may include itself and whatever is to its left. Further rules: files of backend/cpu/isa are included from
backend/cpu only; public headers include the standard library and each other, and have no #if; files inside isa/ include the
standard headers <cstddef> and <cstdint>, intrinsics and each other. Test files (x_test.cc,
x_test_util.h) may also include GoogleTest and tests/.

Usage: check_layers.py [ROOT]       prints one line per violation; exit code 1 if there are any
"""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
CONDITION = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif)\b")
TEST_FILE = re.compile(r"_test(_util)?$")
SUFFIXES = {".h", ".cc", ".cu", ".cuh", ".inc"}

ALLOWED = {
    "include": {"include"},
    "base": {"include", "base"},
    "tensor": {"include", "base", "tensor"},
    "audio": {"include", "base", "tensor", "audio"},
    "text": {"include", "base", "tensor", "text"},
    "output": {"include", "base", "output"},
    "weights": {"include", "base", "tensor", "weights"},
    "backend": {"include", "base", "tensor", "backend"},
    "model": {"include", "base", "tensor", "audio", "text", "weights", "backend", "model"},
    "engine": {"include", "base", "tensor", "audio", "text", "weights", "backend", "model", "engine"},
    "bench": {"include", "base", "tensor", "audio", "text", "weights", "backend", "model", "engine", "bench"},
    "capi": {"include", "capi"},
    "server": {"include", "base", "server"},
    "apps": {"include", "apps"},
    "bindings": {"include", "bindings"},
    "src": {"include"},  # version.cc
}
ISA_STANDARD_HEADERS = {"cstddef", "cstdint", "immintrin.h", "arm_neon.h"}


def layer_of(path):
    """Layer of a path relative to the root: include/qasr/x.h -> include, src/model/x.cc -> model."""
    parts = path.parts
    if parts[0] == "src":
        return parts[1] if len(parts) > 2 else "src"
    return parts[0]


def resolve(root, includer, name):
    """Path of a quoted include relative to the root, or None when no file of ours has that name."""
    for directory in (includer.parent, pathlib.Path("include"), pathlib.Path("src"), pathlib.Path("tests")):
        if (root / directory / name).is_file():
            return pathlib.Path((root / directory / name).resolve().relative_to(root.resolve()))
    return None


def is_isa(path):
    return path.parts[:4] == ("src", "backend", "cpu", "isa")


def check_include(root, path, bracket, name):
    """Message about one #include line, or None."""
    layer = layer_of(path)
    is_test = TEST_FILE.search(path.stem) is not None
    target = resolve(root, path, name) if bracket == '"' else None
    if layer == "include" and target is None and ("/" in name or name.endswith(".h")):
        return f"public headers include the standard library and each other only, not {name}"
    if is_isa(path) and not is_test and target is None and name not in ISA_STANDARD_HEADERS:
        return f"isa/ files include <cstddef>, <cstdint>, intrinsics and isa/ headers only, not {name}"
    if target is None:
        return None
    if is_isa(path) and not is_test and not is_isa(target):
        return f"isa/ files include nothing of ours outside isa/, not {name}"
    if is_isa(target) and path.parts[:3] != ("src", "backend", "cpu"):
        return f"only backend/cpu may include isa/, not {layer}: {name}"
    if is_test and target.parts[0] == "tests":
        return None
    if layer == "apps" and path.stem.startswith("bench") and layer_of(target) == "bench":
        return None
    if layer == "apps" and path.stem.startswith("serve") and layer_of(target) == "server":
        return None
    if layer_of(target) not in ALLOWED[layer]:
        return f"{layer} must not include {layer_of(target)}: {name}"
    return None


def check_file(root, path):
    """Violations of one file as (line number, message)."""
    layer = layer_of(path)
    if layer not in ALLOWED:
        return [(1, f"folder {layer} is not in the list of layers (tools/check_layers.py, docs/architecture.md)")]
    violations = []
    for number, line in enumerate((root / path).read_text(encoding="utf-8").splitlines(), 1):
        include = INCLUDE.match(line)
        message = check_include(root, path, *include.groups()) if include else None
        if layer == "include" and CONDITION.match(line):
            message = "public headers have no #if"
        if message:
            violations.append((number, message))
    return violations


def source_files(root):
    for top in ("include", "src", "apps", "bindings"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file():
                yield path.relative_to(root)


def check_tree(root):
    """All violations as "path:line: message", and the number of files read."""
    messages, n_files = [], 0
    for path in source_files(root):
        n_files += 1
        messages += [f"{path}:{number}: {message}" for number, message in check_file(root, path)]
    return messages, n_files


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    messages, n_files = check_tree(root)
    for message in messages:
        print(message)
    print(f"{n_files} files, {len(messages)} violations")
    if n_files == 0:
        print(f"no sources under {root}", file=sys.stderr)
    return 1 if messages or n_files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
