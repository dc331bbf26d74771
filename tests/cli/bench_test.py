"""`qasr bench`: runs on a small checkpoint, prints what docs/performance.md promises, refuses nonsense. No timings."""

import json
import os
import pathlib
import subprocess
import unittest

from harness import INPUT, MODEL, OK, PROGRAM, ROOT, USAGE, ProgramTest, run

FIELDS = ("load_ms mel_ms stem_ms encoder_ms prefill_ms decode_ms_per_token total_ms rtfx peak_rss_mb weights threads isa "
          "batch audio_s tokens").split()


class BenchTest(ProgramTest):
    def checkpoint(self, name="tiny_a"):
        directory = pathlib.Path(self.directory) / name
        subprocess.run([os.environ["QASR_MAKE_CHECKPOINT"], "--config", name, "--out", directory], check=True,
                       capture_output=True)
        return directory

    def report(self, *arguments, runs=1):
        result = run("bench", "--model", self.checkpoint(), "--audio-s", 2.5, "--tokens", 4, "--runs", runs, "--json", "--quiet",
                     *arguments)
        self.assertEqual((result.returncode, result.stderr), (OK, ""))
        return json.loads(result.stdout)

    def test_json(self):
        report = self.report("--batch", 2, "--threads", 1, runs=3)
        for field in FIELDS:
            self.assertIn(field, report)
        self.assertEqual((report["batch"], report["audio_s"], report["tokens"], report["threads"]), (2, 2.5, 4, 1))
        self.assertEqual((report["weights"], report["kv_cache"], report["runs"]), ("q8", "bf16", 3))
        self.assertEqual(report["prompt_tokens"], report["audio_tokens"] + 15)
        for field in FIELDS:
            if field.endswith(("_ms", "_mb")) or field in ("rtfx", "decode_ms_per_token"):
                self.assertGreater(report[field], 0, field)
        self.assertGreater(report["encoder_ms"], report["stem_ms"])
        for name in ("mel", "stem", "encoder", "prefill", "total"):
            self.assertLessEqual(report[f"{name}_min_ms"], report[f"{name}_ms"])
        self.assertAlmostEqual(report["rtfx"], 2 * 2.5 * 1000 / report["total_ms"], places=3)

    def test_clients_of_a_whole_engine(self):
        """A closed loop per number of clients, every clip cut and answered as asked."""
        model = ROOT / "models/demo-en"
        arguments = ("bench", "--model", model, "--concurrency", "1,3", "--audio-s", 1.5, "--segment-s", 1, "--tokens", 4, "--runs", 1,
                     "--threads", 1)
        result = run(*arguments, "--json", "--quiet")
        self.assertEqual((result.returncode, result.stderr), (OK, ""))
        report = json.loads(result.stdout)
        self.assertTrue(report["device"].startswith("cpu ("))
        self.assertEqual([(row["concurrency"], row["clips"]) for row in report["sweep"]], [(1, 1), (3, 3)])
        for row in report["sweep"]:
            self.assertGreater(row["audio_s_per_s"], 0)
            self.assertLessEqual(row["first_token_p50_ms"], row["clip_p95_ms"])
        text = run(*arguments, "--quiet").stdout.splitlines()
        self.assertEqual(len(text), 6)
        for bad in (("--concurrency", "0"), ("--concurrency", "1", "--device", "cuda:x"), ("--device", "cpu")):
            self.assertEqual(run("bench", "--model", model, *bad).returncode, USAGE, bad)

    def test_machine_and_build(self):
        report = self.report()
        self.assertGreater(report["machine"]["read_gbs"], 0)
        self.assertTrue(report["machine"]["cpu"])
        self.assertTrue(report["build"]["commit"])
        self.assertRegex(report["build"]["compiler"], r"\w+ \d+")

    def test_formats(self):
        for weights, kv_cache in (("f32", "f32"), ("bf16", "bf16"), ("q4g32", "bf16")):
            with self.subTest(weights):
                report = self.report("--weights", weights)
                self.assertEqual((report["weights"], report["kv_cache"]), (weights, kv_cache))
        self.assertEqual(self.report("--weights", "stored", "--kv-cache", "f32")["weights"], "bf16")

    def test_packed_weights(self):
        """A second run maps what the first one packed."""
        checkpoint, cache = self.checkpoint(), pathlib.Path(self.directory) / "cache"
        for is_mapped in (False, True):
            result = run("bench", "--model", checkpoint, "--audio-s", 1, "--tokens", 1, "--runs", 1, "--json", "--quiet", "--packed",
                         "--cache-dir", cache)
            self.assertEqual((result.returncode, json.loads(result.stdout)["packed_mapped"]), (OK, is_mapped))
        self.assertFalse(self.report()["packed_mapped"])

    def test_instruction_set(self):
        result = run("bench", "--model", self.checkpoint(), "--audio-s", 1, "--tokens", 1, "--runs", 1, "--json",
                     env={"QASR_CPU_ISA": "generic"})
        self.assertEqual(json.loads(result.stdout)["isa"], "generic")
        self.assertIn("run 1 of 1", result.stderr)

    def test_table(self):
        result = run("bench", "--model", self.checkpoint(), "--audio-s", 1, "--tokens", 2, "--runs", 1)
        self.assertEqual(result.returncode, OK)
        for fragment in ("log-mel", "stem", "prefill (28 rows)", "decode step", "memory read", "peak memory", "q8 weights"):
            self.assertIn(fragment, result.stdout)

    def test_usage_errors(self):
        cases = {
            "unknown format": (["--weights", "int3"], "int3"),
            "no audio": (["--audio-s", 0], "--audio-s"),
            "no tokens": (["--tokens", 0], "--tokens"),
            "no runs": (["--runs", 0], "--runs"),
            "no segments": (["--batch", 0], "--batch"),
            "unknown size": (["--synthetic", "7b"], "7b"),
            "two checkpoints": (["--model", "somewhere", "--synthetic", "0.6b"], "--synthetic"),
            "surplus argument": (["recording.wav"], "recording.wav"),
        }
        for name, (arguments, fragment) in cases.items():
            with self.subTest(name):
                self.assert_fails(run("bench", *arguments), USAGE, fragment)

    def test_other_errors(self):
        self.assert_fails(run("bench", "--quiet", "--model", "/nonexistent"), MODEL, "/nonexistent")
        self.assert_fails(run("bench", "--quiet", "--model", self.checkpoint(), "--audio-s", 1, "--tokens", 100000), INPUT,
                          "positions")

    def test_table_of_goals(self):
        """bench/bars.py prints every row from one command."""
        saved = self.directory / "results.json"
        result = subprocess.run([ROOT / "bench/bars.py", "--program", PROGRAM, "--kernels", "/nonexistent", "--model",
                                 self.checkpoint(), "--runs", "1", "--audio-s", "1", "--tokens", "2", "--json", saved,
                                 "--cache-dir", self.directory / "cache"],
                                capture_output=True, text=True, check=True)
        for fragment in ("log-mel, 1 s", "prefill, 28 rows", "1 sequence, q8", "1 sequence, q4", "8 sequences to 1",
                         "2 tokens, q8, at 60 GB/s", "4 s as 4 segments, 8 tokens", "peak memory", "s of loading", "1.7B to 0.6B"):
            self.assertIn(fragment, result.stdout)
        reports = json.loads(saved.read_text())["bench"]
        self.assertEqual((reports["batch 8"]["batch"], reports["q4"]["weights"]), (8, "q4"))


if __name__ == "__main__":
    unittest.main()
