"""The include directions hold in the sources, and the checker finds what it must find."""

import os
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(os.environ["QASR_SOURCE_DIR"])
sys.path.insert(0, str(ROOT / "tools"))
import check_layers  # noqa: E402


def check(files):
    """Violations in a tree that consists of {path: text}."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return check_layers.check_tree(root)[0]


class CheckerTest(unittest.TestCase):
    HEADERS = {
        "include/qasr/engine.h": "#pragma once\n#include <vector>\n",
        "src/base/mutex.h": "",
        "src/text/tokenizer.h": "",
        "src/audio/log_mel.h": "",
        "src/engine/session.h": "",
        "src/backend/backend.h": "",
        "src/backend/cpu/isa/kernels.h": "",
        "src/bench/benchmark.h": "",
        "tests/helper.h": "",
    }

    def violations(self, path, text):
        return check({**self.HEADERS, path: text})

    def assert_allowed(self, path, text):
        self.assertEqual(self.violations(path, text), [])

    def assert_refused(self, path, text, expected):
        found = self.violations(path, text)
        self.assertEqual(len(found), 1, found)
        self.assertIn(expected, found[0])
        self.assertIn(path, found[0])

    def test_downward_is_allowed(self):
        self.assert_allowed("src/engine/a.cc", '#include "text/tokenizer.h"\n#include "audio/log_mel.h"\n')
        self.assert_allowed("src/model/a.cc", '#include "backend/backend.h"\n#include "qasr/engine.h"\n')
        self.assert_allowed("apps/qasr/a.cc", '#include "qasr/engine.h"\n#include <CLI/CLI.hpp>\n')

    def test_upward_is_refused(self):
        self.assert_refused("src/model/a.cc", '#include "engine/session.h"\n', "model must not include engine")
        self.assert_refused("src/base/a.cc", '\n#  include "text/tokenizer.h"\n', "base must not include text")

    def test_relative_paths_do_not_hide(self):
        self.assert_refused("src/model/a.cc", '#include "../engine/session.h"\n', "model must not include engine")

    def test_siblings_are_refused(self):
        self.assert_refused("src/audio/a.cc", '#include "text/tokenizer.h"\n', "audio must not include text")
        self.assert_refused("src/backend/a.cc", '#include "audio/log_mel.h"\n', "backend must not include audio")

    def test_apps_see_public_headers_only(self):
        self.assert_refused("apps/qasr/a.cc", '#include "engine/session.h"\n', "apps must not include engine")

    def test_bench_sees_everything_and_is_seen_by_its_subcommand(self):
        self.assert_allowed("src/bench/a.cc", '#include "engine/session.h"\n#include "backend/backend.h"\n')
        self.assert_allowed("apps/qasr/bench_output.cc", '#include "bench/benchmark.h"\n')
        self.assert_refused("apps/qasr/a.cc", '#include "bench/benchmark.h"\n', "apps must not include bench")
        self.assert_refused("apps/qasr/bench.cc", '#include "engine/session.h"\n', "apps must not include engine")
        self.assert_refused("src/engine/a.cc", '#include "bench/benchmark.h"\n', "engine must not include bench")

    def test_isa(self):
        self.assert_allowed("src/backend/cpu/a.cc", '#include "backend/cpu/isa/kernels.h"\n')
        self.assert_allowed("src/backend/cpu/isa/a.cc", '#include <immintrin.h>\n#include "backend/cpu/isa/kernels.h"\n')
        self.assert_refused("src/model/a.cc", '#include "backend/cpu/isa/kernels.h"\n', "only backend/cpu")
        self.assert_refused("src/backend/a.cc", '#include "backend/cpu/isa/kernels.h"\n', "only backend/cpu")
        self.assert_refused("src/backend/cpu/isa/a.cc", "#include <vector>\n", "isa/ files include")
        self.assert_refused("src/backend/cpu/isa/a.cc", '#include "backend/backend.h"\n', "nothing of ours outside isa/")

    def test_public_headers(self):
        self.assert_refused("include/qasr/a.h", "#include <nlohmann/json.hpp>\n", "standard library")
        self.assert_refused("include/qasr/a.h", '#include "engine/session.h"\n', "include must not include engine")
        self.assert_refused("include/qasr/a.h", "#ifdef QASR_CUDA\n", "no #if")

    def test_tests_may_use_the_test_helpers(self):
        self.assert_allowed("src/text/a_test.cc", '#include "helper.h"\n#include <gtest/gtest.h>\n')
        self.assert_allowed("src/text/a_test_util.h", '#include "helper.h"\n')
        self.assert_refused("src/text/a.cc", '#include "helper.h"\n', "text must not include tests")

    def test_unknown_folder(self):
        self.assert_refused("src/misc/a.cc", "int x;\n", "folder misc is not in the list")


class SourcesTest(unittest.TestCase):
    def test_sources(self):
        messages, n_files = check_layers.check_tree(ROOT)
        self.assertGreater(n_files, 20)
        self.assertEqual(messages, [])


if __name__ == "__main__":
    unittest.main()
