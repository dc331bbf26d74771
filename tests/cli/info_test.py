"""`qasr info`: the numbers follow from the configuration and the tensors."""

import json
import unittest

from harness import DEMO_MODEL, OK, ProgramTest, run


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

    def test_table(self):
        result = run("info", DEMO_MODEL)
        self.assertEqual(result.returncode, OK)
        for fragment in ("12,126,336", "bf16", "8 layers", "6 layers", "1536 tokens", "per minute of audio", "demonstration"):
            self.assertIn(fragment, result.stdout)


if __name__ == "__main__":
    unittest.main()
