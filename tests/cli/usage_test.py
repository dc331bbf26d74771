"""Help, version, unknown options, and where output goes."""

import os
import platform
import re
import subprocess
import unittest

from harness import DEVICE, INTERNAL, OK, PROGRAM, ROOT, SAMPLE, USAGE, ProgramTest, run


class UsageTest(ProgramTest):
    def test_version(self):
        version = re.search(r"project\(qasr VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
        result = run("--version")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (OK, f"qasr {version}\n", ""))

    def test_help(self):
        for arguments in (["--help"], ["transcribe", "--help"], ["info", "--help"], ["bench", "--help"]):
            with self.subTest(arguments=arguments):
                result = run(*arguments)
                self.assertEqual((result.returncode, result.stderr), (OK, ""))
                self.assertIn("Examples:", result.stdout)
        self.assertIn("Exit codes", run("--help").stdout)
        self.assertIn("--language", run("transcribe", "--help").stdout)

    def test_usage_errors(self):
        cases = {
            "no subcommand": ([], "subcommand"),
            "unknown subcommand": (["listen"], "listen"),
            "unknown option": (["transcribe", "--frobnicate", SAMPLE], "--frobnicate"),
            "value missing": (["transcribe", SAMPLE, "--model"], "--model"),
            "not a number": (["transcribe", "--threads", "many", SAMPLE], "--threads"),
            "negative threads": (["transcribe", "--threads=-1", SAMPLE], "--threads"),
            "negative tokens": (["transcribe", "--max-tokens=-1", SAMPLE], "--max-tokens"),
            "negative segment": (["transcribe", "--max-segment-s=-2", SAMPLE], "--max-segment-s"),
            "unknown weights": (["transcribe", "--weights", "int3", SAMPLE], "int3"),
            "unknown backend": (["transcribe", "--backend", "abacus", SAMPLE], "abacus"),
            "unknown language": (["transcribe", "--language", "Klingon", SAMPLE], "Klingon"),
            "context file missing": (["transcribe", "--context", "@/nonexistent/names.txt", SAMPLE], "names.txt"),
            "standard input twice": (["transcribe", "-", "-"], "standard input"),
            "two checkpoints": (["info", "a", "b"], "b"),
        }
        for name, (arguments, fragment) in cases.items():
            with self.subTest(name):
                self.assert_fails(run(*arguments), USAGE, fragment)

    def test_unknown_language_lists_the_known(self):
        result = run("transcribe", "--language", "Klingon", SAMPLE)
        for fragment in ("auto", "German (de)", "Cantonese (yue)"):
            self.assertIn(fragment, result.stderr)

    def test_terminal_is_not_read(self):
        controller, terminal = os.openpty()
        try:
            self.assert_fails(run("transcribe", stdin=terminal), USAGE, "no files")
        finally:
            os.close(controller)
            os.close(terminal)

    def test_unknown_instruction_set(self):
        self.assert_fails(run("transcribe", SAMPLE, env={"QASR_CPU_ISA": "bogus"}), USAGE, "bogus", "generic")

    def test_instruction_set_of_another_machine(self):
        other = "avx2" if platform.machine() in ("aarch64", "arm64") else "neon"
        self.assert_fails(run("transcribe", SAMPLE, env={"QASR_CPU_ISA": other}), DEVICE, other, "generic")

    def test_closed_pipe_is_quiet(self):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            result = run("transcribe", "--quiet", SAMPLE, stdout=writer, stderr=subprocess.PIPE)
        finally:
            os.close(writer)
        self.assertEqual((result.returncode, result.stderr), (OK, ""))

    def test_closed_standard_output(self):
        command = f'exec "{PROGRAM}" transcribe --quiet "{SAMPLE}" >&-'
        result = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(result.returncode, INTERNAL)
        self.assertIn("standard output", result.stderr)

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full on this system")
    def test_full_disk(self):
        for arguments in (["transcribe", "--quiet", SAMPLE], ["transcribe", "--quiet", "--json", SAMPLE], ["info"], ["--help"]):
            with self.subTest(arguments=arguments), open("/dev/full", "wb") as full:
                result = run(*arguments, stdout=full, stderr=subprocess.PIPE)
                self.assertEqual(result.returncode, INTERNAL)
                self.assertIn("standard output", result.stderr)


if __name__ == "__main__":
    unittest.main()
