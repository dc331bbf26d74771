"""Checkpoints that are damaged or contradict themselves: exit code 4 and a message that names file and fault."""

import json
import unittest

from harness import DEMO_MODEL, INPUT, MODEL, SAMPLE, ProgramTest, run

SHARD = "model-00001-of-00002.safetensors"
TENSOR = "thinker.audio_tower.conv2d1.weight"


class BadModelTest(ProgramTest):
    def assert_refused(self, model, *fragments):
        self.assert_fails(run("transcribe", "--model", model, SAMPLE), MODEL, *fragments)

    def shard_with(self, tensor):
        index = json.loads((DEMO_MODEL / "model.safetensors.index.json").read_text())
        return index["weight_map"][tensor]

    def test_missing_directory(self):
        self.assert_refused(self.directory / "nowhere", "nowhere")
        self.assert_fails(run("info", self.directory / "nowhere"), MODEL, "nowhere")

    def test_file_instead_of_directory(self):
        self.assert_refused(self.write("model.bin", b"x"), "model.bin")

    def test_empty_directory(self):
        self.assert_refused(self.directory, "config.json")

    def test_broken_json(self):
        for name in ("config.json", "vocab.json", "tokenizer_config.json"):
            with self.subTest(name):
                model = self.broken_model(f"broken-{name}")
                text = (model / name).read_text()
                (model / name).write_text(text[: len(text) // 2])
                self.assert_refused(model, name)

    def test_config_is_not_an_object(self):
        model = self.broken_model()
        (model / "config.json").write_text("[1, 2]")
        self.assert_refused(model, "config.json")

    def test_missing_key(self):
        model = self.broken_model()
        self.edit_json(model / "config.json", lambda c: c["thinker_config"]["text_config"].pop("num_key_value_heads"))
        self.assert_refused(model, "num_key_value_heads", "config.json")

    def test_mistyped_key(self):
        model = self.broken_model()
        self.edit_json(model / "config.json", lambda c: c["thinker_config"]["audio_config"].update(d_model="wide"))
        self.assert_refused(model, "d_model")

    def test_absurd_size(self):
        for value in (0, -4, 10**12):
            with self.subTest(value=value):
                model = self.broken_model(f"size{value}")
                self.edit_json(model / "config.json", lambda c: c["thinker_config"]["text_config"].update(hidden_size=value))
                self.assert_refused(model, "hidden_size")

    def test_no_weights(self):
        model = self.broken_model()
        for path in model.glob("*.safetensors"):
            path.unlink()
        self.assert_refused(model, "safetensors")

    def test_missing_shard(self):
        model = self.broken_model()
        (model / SHARD).unlink()
        self.assert_refused(model)

    def test_missing_tensor(self):
        model = self.broken_model()
        self.remove_tensor(model / self.shard_with(TENSOR), TENSOR)
        self.assert_refused(model, "audio_tower.conv2d1.weight")

    def test_gap_in_the_data(self):
        model = self.broken_model()
        shard = self.shard_with(TENSOR)
        self.edit_header(model / shard, lambda header: header.pop(TENSOR))
        self.assert_refused(model, shard)

    def test_unknown_tensor(self):
        model = self.broken_model()
        self.edit_header(model / self.shard_with(TENSOR), lambda header: header.update({"thinker.extra": header[TENSOR]}))
        self.assert_refused(model, "extra")

    def test_wrong_shape(self):
        model = self.broken_model()

        def swap(header):
            header[TENSOR]["shape"] = header[TENSOR]["shape"][::-1]

        self.edit_header(model / self.shard_with(TENSOR), swap)
        self.assert_refused(model, "audio_tower.conv2d1.weight", "[3, 3, 1, 96]", "[96, 1, 3, 3]")

    def test_wrong_dtype(self):
        for dtype in ("I16", "nonsense"):
            with self.subTest(dtype=dtype):
                model = self.broken_model(dtype)
                self.edit_header(model / self.shard_with(TENSOR), lambda header: header[TENSOR].update(dtype=dtype))
                self.assert_refused(model, "audio_tower.conv2d1.weight", dtype)

    def test_truncated_shard(self):
        whole = (DEMO_MODEL / SHARD).read_bytes()
        for n_bytes in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
            with self.subTest(n_bytes=n_bytes):
                model = self.broken_model(f"cut{n_bytes}")
                (model / SHARD).unlink()
                (model / SHARD).write_bytes(whole[:n_bytes])
                self.assert_refused(model, SHARD)

    def test_lying_header(self):
        def move(begin, end):
            return lambda header: header[TENSOR].update(data_offsets=[begin, end])

        lies = {"beyond the end": move(10**12, 10**12 + 1728), "backwards": move(1728, 0), "too long": move(0, 1730),
                "negative": move(-2, 1726), "not numbers": move("a", "b")}
        for name, lie in lies.items():
            with self.subTest(name):
                model = self.broken_model(name)
                shard = self.shard_with(TENSOR)
                self.edit_header(model / shard, lie)
                self.assert_refused(model, shard)

    def test_header_length_lies(self):
        whole = (DEMO_MODEL / SHARD).read_bytes()
        for length in (2**63, 2**64 - 1, 10**9, 1):
            with self.subTest(length=length):
                model = self.broken_model(f"length{length}")
                (model / SHARD).unlink()
                (model / SHARD).write_bytes(length.to_bytes(8, "little") + whole[8:])
                self.assert_refused(model, SHARD)

    def test_vocabulary_larger_than_head(self):
        model = self.broken_model()
        self.edit_json(model / "vocab.json", lambda vocab: vocab.update({"zzzz": 4000}))
        self.assert_refused(model, "vocab")

    def test_no_tokenizer(self):
        model = self.broken_model()
        (model / "merges.txt").unlink()
        self.assert_refused(model, "merges.txt")

    def test_recording_longer_than_the_context(self):
        """Says the limit and cuts nothing."""
        model = self.broken_model()
        self.edit_json(model / "config.json", lambda c: c["thinker_config"]["text_config"].update(max_position_embeddings=40))
        result = run("transcribe", "--model", model, SAMPLE)
        self.assert_fails(result, INPUT, "40")


if __name__ == "__main__":
    unittest.main()
