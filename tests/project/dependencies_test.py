"""scripts/packages.txt and docs/dependencies.md name the same packages, and CMake finds nothing that is not there."""

import os
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(os.environ["QASR_SOURCE_DIR"])


def listed_packages():
    lines = (ROOT / "scripts/packages.txt").read_text().splitlines()
    return {tuple(line.split()[:2]) for line in lines if line and not line.startswith("#")}


def documented_packages():
    """(set, package) of every table row "| `package` | build, test or optional | ...": one row may name several packages."""
    found = set()
    for line in (ROOT / "docs/dependencies.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) >= 2 and cells[1] in ("build", "test", "optional"):
            found |= {(cells[1], name) for name in re.findall(r"`([^`]+)`", cells[0])}
    return found


class DependenciesTest(unittest.TestCase):
    def test_documented(self):
        self.assertGreater(len(listed_packages()), 10)
        self.assertEqual(listed_packages(), documented_packages())

    def test_script_is_valid(self):
        script = ROOT / "scripts/install_packages.sh"
        self.assertTrue(os.access(script, os.X_OK))
        self.assertEqual(subprocess.run(["bash", "-n", script], check=False).returncode, 0)
        refused = subprocess.run([script, "everything"], capture_output=True, check=False)
        self.assertEqual(refused.returncode, 2)


if __name__ == "__main__":
    unittest.main()
