"""What the tests of the program share: running it, making recordings, breaking checkpoints."""

import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import unittest
import wave

ROOT = pathlib.Path(os.environ["QASR_SOURCE_DIR"])
PROGRAM = os.environ["QASR_PROGRAM"]
DEMO_MODEL = ROOT / "models/demo-en"
SAMPLES = DEMO_MODEL / "samples"
SAMPLE = SAMPLES / "meeting_rms.wav"

OK, INTERNAL, USAGE, INPUT, MODEL, DEVICE, INCOMPLETE = range(7)
INTERRUPTED = 130

SCHEMA = json.loads((ROOT / "docs/transcript.schema.json").read_text(encoding="utf-8"))

WAVE_FORMAT_PCM, WAVE_FORMAT_FLOAT = 1, 3


def references():
    """{file name: sentence that was spoken} of the sample recordings; the first line is a heading."""
    lines = (SAMPLES / "references.tsv").read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines[1:])


def run(*arguments, stdin=subprocess.DEVNULL, input=None, env=None, **options):
    """Runs the program; `input` is bytes for its standard input. Output is text."""
    stream = {} if input is not None else {"stdin": stdin}
    result = subprocess.run([PROGRAM, *map(str, arguments)], input=input, capture_output="stdout" not in options,
                            env={**os.environ, **(env or {})}, timeout=300, check=False, **stream, **options)
    result.stdout = (result.stdout or b"").decode("utf-8")
    result.stderr = (result.stderr or b"").decode("utf-8", "replace")
    return result


def sample_values(path=SAMPLE):
    """Samples of a 16-bit mono WAV file as integers."""
    with wave.open(str(path)) as file:
        assert (file.getsampwidth(), file.getnchannels(), file.getframerate()) == (2, 1, 16000)
        frames = file.readframes(file.getnframes())
    return list(struct.unpack(f"<{len(frames) // 2}h", frames))


def wav_bytes(data, rate=16000, channels=1, bits=16, format_tag=WAVE_FORMAT_PCM, data_size=None):
    """A RIFF/WAVE file; `data_size` is what the header claims when that is not the truth."""
    block = channels * bits // 8
    header = struct.pack("<HHIIHH", format_tag, channels, rate, rate * block, block, bits)
    size = len(data) if data_size is None else data_size
    chunks = b"WAVE" + b"fmt " + struct.pack("<I", len(header)) + header + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", len(chunks) + size) + chunks + data


JSON_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


def validate(value, schema, root=None, where="$"):
    """Checks a value against the part of JSON Schema that docs/transcript.schema.json uses."""
    root = root or schema
    known = {"$schema", "$defs", "title", "description", "type", "properties", "required", "additionalProperties", "items",
             "minimum", "maximum", "enum", "$ref"}
    assert set(schema) <= known, f"{where}: the schema uses {set(schema) - known}"
    if "$ref" in schema:
        return validate(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, where)
    if "type" in schema:
        expected = JSON_TYPES[schema["type"]]
        assert isinstance(value, expected), f"{where}: {value!r} is no {schema['type']}"
        assert schema["type"] == "boolean" or not isinstance(value, bool), f"{where}: {value!r} is a boolean"
    assert value in schema.get("enum", [value]), f"{where}: {value!r} is none of {schema.get('enum')}"
    if isinstance(value, (int, float)):
        assert schema.get("minimum", value) <= value <= schema.get("maximum", value), f"{where}: {value} out of range"
    if isinstance(value, dict):
        missing = set(schema.get("required", [])) - set(value)
        assert not missing, f"{where}: {missing} missing"
        for key, entry in value.items():
            assert key in schema["properties"] or schema.get("additionalProperties", True), f"{where}: unknown key {key}"
            if key in schema["properties"]:
                validate(entry, schema["properties"][key], root, f"{where}.{key}")
    if isinstance(value, list):
        for index, entry in enumerate(value):
            validate(entry, schema["items"], root, f"{where}[{index}]")


class ProgramTest(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = pathlib.Path(temporary.name)

    def write(self, name, data):
        path = self.directory / name
        path.write_bytes(data)
        return path

    def assert_fails(self, result, code, *fragments):
        """The documented exit code, nothing on standard output, and a message that contains every fragment."""
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stdout, "")
        message = result.stderr.lower()
        for fragment in fragments:
            self.assertIn(str(fragment).lower(), message)

    # ---- checkpoints ------------------------------------------------------------------------------------------------

    def broken_model(self, name="model"):
        """A copy of the demonstration model to damage: small files are copies, weights are links."""
        model = self.directory / name
        model.mkdir()
        for path in DEMO_MODEL.iterdir():
            if path.suffix == ".safetensors":
                (model / path.name).symlink_to(path)
            elif path.is_file():
                shutil.copy(path, model)
        return model

    def edit_json(self, path, change):
        document = json.loads(path.read_text(encoding="utf-8"))
        change(document)
        path.write_text(json.dumps(document), encoding="utf-8")

    def read_shard(self, shard):
        """Header and data area of a safetensors file."""
        original = shard.read_bytes()
        (length,) = struct.unpack("<Q", original[:8])
        return json.loads(original[8 : 8 + length]), original[8 + length :]

    def replace_shard(self, shard, header, data):
        """Puts a file in the place of a link."""
        text = json.dumps(header).encode()
        shard.unlink()
        shard.write_bytes(struct.pack("<Q", len(text)) + text + data)

    def edit_header(self, shard, change):
        """Changes the header only: what it says about the data may then be a lie."""
        header, data = self.read_shard(shard)
        change(header)
        self.replace_shard(shard, header, data)

    def remove_tensor(self, shard, name):
        """Header and data stay consistent."""
        header, data = self.read_shard(shard)
        begin, end = header.pop(name)["data_offsets"]
        for key, entry in header.items():
            if key != "__metadata__" and entry["data_offsets"][0] >= end:
                entry["data_offsets"] = [offset - (end - begin) for offset in entry["data_offsets"]]
        self.replace_shard(shard, header, data[:begin] + data[end:])
