"""`qasr info`: the numbers follow from the configuration and the tensors."""

import json
import os
import subprocess
import unittest

from harness import DEMO_MODEL, MODEL, OK, PROGRAM, ROOT, USAGE, ProgramTest, run

FORMATS = ROOT / "tests/data/formats"


class InfoTest(ProgramTest):
    def description(self, *arguments):
        result = run("info", "--json", *arguments)
        self.assertEqual((result.returncode, result.stderr), (OK, ""))
        return json.loads(result.stdout)

    def test_json(self):
        info = self.description(DEMO_MODEL)
        config = json.loads((DEMO_MODEL / "config.json").read_text())["thinker_config"]
        index = json.loads((DEMO_MODEL / "model.safetensors.index.json").read_text())["weight_map"]
        text, audio = config["text_config"], config["audio_config"]
        self.assertEqual(info["tensors"], len(index))
        self.assertEqual(info["files"], len(set(index.values())))
        self.assertEqual(info["file_bytes"], sum(path.stat().st_size for path in DEMO_MODEL.glob("*.safetensors")))
        self.assertEqual((info["layout"], info["dtype"], info["demo"]), ("official", "bf16", True))
        self.assertEqual(info["parameters"]["total"], 12126336)
        parts = info["parameters"]
        self.assertEqual(parts["encoder"] + parts["decoder"] + parts["embedding"], parts["total"])
        self.assertEqual(parts["embedding"], text["vocab_size"] * text["hidden_size"])
        self.assertEqual(info["encoder"]["layers"], audio["encoder_layers"])
        self.assertEqual(info["encoder"]["conv_channels"], audio["downsample_hidden_size"])
        self.assertEqual(info["decoder"]["layers"], text["num_hidden_layers"])
        self.assertEqual(info["decoder"]["kv_heads"], text["num_key_value_heads"])
        self.assertEqual(info["eos_token_ids"], [1528, 1530])
        memory = info["memory"]
        self.assertEqual(memory["weights_bf16_bytes"], 2 * parts["total"])
        elements = 2 * text["num_hidden_layers"] * text["num_key_value_heads"] * text["head_dim"]
        self.assertEqual(memory["kv_cache_bf16_bytes_per_token"], 2 * elements)
        self.assertEqual(memory["kv_cache_bf16_bytes_per_minute"], 13 * 60 * 2 * elements)

    def test_built_in_model_is_the_directory(self):
        built_in, directory = self.description(), self.description(DEMO_MODEL)
        self.assertEqual(built_in.pop("path"), "demo-en")
        self.assertEqual(directory.pop("path"), str(DEMO_MODEL))
        self.assertEqual(built_in, directory)

    def test_stored_types_memory_and_tensors(self):
        info = self.description("--tensors", FORMATS / "llama_q8_0/text.gguf")
        self.assertEqual((info["container"], info["layout"]), ("gguf", "llama.cpp"))
        held = {entry["type"]: entry["in_memory"] for entry in info["types"] if entry["in_memory"]}
        self.assertEqual(held, {"q8_0": "as stored", "f16": "q8"})
        self.assertEqual(sum(entry["bytes"] for entry in info["types"]), sum(t["bytes"] for t in info["tensor_list"]))
        self.assertEqual(sum(entry["parameters"] for entry in info["types"]), info["parameters"]["total"])
        embedding = next(t for t in info["tensor_list"] if t["name"] == "model.embed_tokens.weight")
        self.assertEqual((embedding["shape"], embedding["type"], embedding["bytes"]), ([288, 64], "q8_0", 288 * 2 * 34))
        weights = info["memory"]["weights_bytes"]
        self.assertEqual(set(weights), {"auto", "stored", "f32", "bf16", "q8", "q4", "q4g32"})
        self.assertTrue(weights["q4"] < weights["q4g32"] < weights["q8"] < weights["bf16"] < weights["f32"])
        self.assertEqual(weights["f32"], 4 * info["parameters"]["total"])
        self.assertIn("tokens", info["tokenizer"])
        self.assertIn("none", self.description(FORMATS / "mlx4")["tokenizer"])

    def test_names_what_is_wrong(self):
        model = self.broken_model()
        self.edit_json(model / "config.json", lambda c: c["thinker_config"]["text_config"].update(intermediate_size=770))
        self.assert_fails(run("info", model), MODEL, "mlp.gate_proj.weight has shape [768, 256], expected [770, 256]")

    def test_quantize(self):
        out = self.directory / "out"
        result = run("quantize", "--bits", "4", FORMATS / "crisp.gguf", out)
        self.assertEqual(result.returncode, OK, result.stderr)
        for fragment in ("decoder feed-forward", "4-bit, groups of 64", "embedding", "8-bit, groups of 64", "weights: "):
            self.assertIn(fragment, result.stdout)
        info = self.description(out)
        self.assertEqual((info["container"], info["layout"], info["tokenizer"]), ("safetensors", "bare", "byte-level BPE, 279 tokens"))
        quantization = json.loads((out / "config.json").read_text())["quantization"]
        self.assertEqual((quantization["bits"], quantization["group_size"]), (4, 64))
        self.assertEqual(quantization["model.embed_tokens"], {"bits": 8, "group_size": 64})
        self.assertIs(quantization["audio_tower.layers.0.self_attn.q_proj"], False)
        self.assert_fails(run("quantize", FORMATS / "crisp.gguf", out), USAGE, "not an empty directory")
        self.assert_fails(run("quantize", "--bits", "5", FORMATS / "crisp.gguf", self.directory / "x"), USAGE, "--bits")

    def test_quantize_streams(self):
        """What is resident does not follow the model's 24 MB: its largest tensor has 0.8."""
        def peak_bytes(*arguments):
            process = subprocess.Popen([PROGRAM, *map(str, arguments)], stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, OK)
            return usage.ru_maxrss * 1024

        idle = peak_bytes("info", DEMO_MODEL)
        quantizing = peak_bytes("quantize", "-q", "--threads", "1", DEMO_MODEL, self.directory / "out")
        weights = sum(path.stat().st_size for path in DEMO_MODEL.glob("*.safetensors"))
        self.assertLess(quantizing - idle, 0.4 * weights)

    def test_table(self):
        result = run("info", DEMO_MODEL)
        self.assertEqual(result.returncode, OK)
        for fragment in ("12,126,336", "bf16", "8 layers", "6 layers", "1536 tokens", "per minute of audio", "demonstration"):
            self.assertIn(fragment, result.stdout)


if __name__ == "__main__":
    unittest.main()
