#!/usr/bin/env python3
"""extract.py README OUTPUT_DIR: writes every ```cpp block of a document as readme_example_N.cc, prints the paths."""

import pathlib
import re
import sys


def code_blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def main():
    document, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    for number, block in enumerate(code_blocks(document.read_text(encoding="utf-8"), "cpp"), 1):
        path = output / f"readme_example_{number}.cc"
        if not path.exists() or path.read_text(encoding="utf-8") != block:
            path.write_text(block, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
