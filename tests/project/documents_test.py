"""Documents: links lead somewhere, files named in docs/architecture.md exist, none is longer than 400 lines."""

import os
import pathlib
import re
import unittest

ROOT = pathlib.Path(os.environ["QASR_SOURCE_DIR"])
DOCUMENTS = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")) + sorted(ROOT.glob("models/*/README.md"))
LINK = re.compile(r"\[[^\]]+\]\(([^)#]+)(#[^)]*)?\)")
SOURCE_PATH = re.compile(r"`((?:include|src|apps|tests|tools|cmake|bench|models|docs|scripts)/[\w./-]+)`")
SHORT_PATH = re.compile(r"`((?:base|tensor|audio|text|weights|backend|model|engine|output)/[\w./-]+\.(?:h|cc))`")


class DocumentsTest(unittest.TestCase):
    def test_length(self):
        self.assertGreater(len(DOCUMENTS), 5)
        for path in DOCUMENTS:
            with self.subTest(path=path.name):
                self.assertLessEqual(len(path.read_text().splitlines()), 400)

    def test_links(self):
        for path in DOCUMENTS:
            for target, _ in LINK.findall(path.read_text()):
                if "://" not in target:
                    with self.subTest(path=path.name, target=target):
                        self.assertTrue((path.parent / target).exists())

    def test_named_files_exist(self):
        for path in DOCUMENTS:
            text = path.read_text()
            names = SOURCE_PATH.findall(text) + ["src/" + name for name in SHORT_PATH.findall(text)]
            for name in names:
                with self.subTest(path=path.name, name=name):
                    self.assertTrue((ROOT / name).exists())

    def test_version(self):
        version = re.search(r"project\(qasr VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
        self.assertIn(version, (ROOT / "CHANGELOG.md").read_text())


if __name__ == "__main__":
    unittest.main()
