#!/usr/bin/env python3
"""Runs openai-python, unmodified, against a server of ours: every response format, streams, errors, Realtime.

    pip install -r tools/openai_contract/requirements.txt
    tools/openai_contract/check_python.py build/release/bin/qasr models/demo-en/samples/meeting_rms.wav

Prints a line per check; exit code 1 if one fails.
"""

import asyncio
import base64
import re
import subprocess
import sys
import traceback
import wave

import openai

PROGRAM, RECORDING = sys.argv[1:3]
MODEL = "demo-en"
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def create(client, **fields):
    with open(RECORDING, "rb") as file:
        return client.audio.transcriptions.create(file=file, **{"model": MODEL, **fields})


@check
def json_format(client):
    result = create(client, language="en", prompt="A meeting.", temperature=0)
    assert result.text and result.usage.type == "tokens", result
    return result.text


@check
def text_srt_vtt(client):
    assert create(client, response_format="text").endswith("\n")
    assert " --> " in create(client, response_format="srt")
    assert create(client, response_format="vtt").startswith("WEBVTT")


@check
def verbose_json(client):
    result = create(client, response_format="verbose_json", timestamp_granularities=["segment"])
    assert isinstance(result.duration, float) and result.segments[0].tokens and result.usage.type == "duration", result
    return f"{result.language}, {result.duration} s, {len(result.segments)} segment"


@check
def logprobs(client):
    result = create(client, include=["logprobs"])
    joined = b"".join(bytes(map(int, entry.bytes)) for entry in result.logprobs).decode()
    assert joined.strip() == result.text, joined


@check
def stream(client):
    deltas, done = [], None
    for event in create(client, stream=True):
        if event.type == "transcript.text.delta":
            deltas.append(event.delta)
        else:
            done = event
    assert done.type == "transcript.text.done" and "".join(deltas) == done.text and done.usage, done
    return f"{len(deltas)} deltas"


@check
def chunking_strategy(client):
    assert create(client, chunking_strategy="auto").text
    assert create(client, chunking_strategy={"type": "server_vad", "silence_duration_ms": 500}).text


@check
def raw_response(client):
    with open(RECORDING, "rb") as file:
        raw = client.audio.transcriptions.with_raw_response.create(file=file, model=MODEL)
    assert re.fullmatch("req_[0-9a-f]{24}", raw.headers["x-request-id"])
    assert raw.parse().text


@check
def errors(client):
    for expected, fields in ((openai.NotFoundError, {"model": "gpt-5"}), (openai.BadRequestError, {"language": "xx"}),
                             (openai.BadRequestError, {"response_format": "diarized_json"})):
        try:
            create(client, **fields)
        except expected as error:
            assert error.code or error.param, error
        else:
            raise AssertionError(f"{fields} was accepted")
    try:
        with open(RECORDING, "rb") as file:
            client.audio.translations.create(file=file, model=MODEL)
    except openai.BadRequestError as error:
        assert "translate" in error.message
    else:
        raise AssertionError("a translation was accepted")


@check
def models(client):
    names = [model.id for model in client.models.list()]
    assert MODEL in names and client.models.retrieve(MODEL).id == MODEL
    return ", ".join(names)


@check
def asynchronous(client):
    async def both():
        many = openai.AsyncOpenAI(base_url=client.base_url, api_key="k")
        with open(RECORDING, "rb") as file:
            data = file.read()
        jobs = [many.audio.transcriptions.create(file=("a.wav", data), model=MODEL) for _ in range(4)]
        return await asyncio.gather(*jobs)

    texts = {result.text for result in asyncio.run(both())}
    assert len(texts) == 1, texts


def pcm24k():
    with wave.open(RECORDING) as file:
        frames = file.readframes(file.getnframes())
    values = [int.from_bytes(frames[at:at + 2], "little", signed=True) for at in range(0, len(frames), 2)]
    out = bytearray()
    for n in range(len(values) * 3 // 2 - 2):
        left, part = divmod(2 * n, 3)
        value = values[left] + (values[left + 1] - values[left]) * part // 3
        out += value.to_bytes(2, "little", signed=True)
    return bytes(out)


def converse(client, turn_detection, commit):
    """Events of one utterance."""
    events = []
    with client.realtime.connect(model=MODEL, extra_query={"intent": "transcription"}) as connection:
        connection.session.update(session={"type": "transcription", "audio": {"input": {
            "format": {"type": "audio/pcm", "rate": 24000}, "transcription": {"model": MODEL, "language": "en"},
            "turn_detection": turn_detection}}})
        audio = pcm24k() + (b"" if commit else bytes(48000 * 2))
        for at in range(0, len(audio), 48000):
            connection.input_audio_buffer.append(audio=base64.b64encode(audio[at:at + 48000]).decode())
        if commit:
            connection.input_audio_buffer.commit()
        for event in connection:
            events.append(event)
            assert event.type != "error", event
            if event.type == "conversation.item.input_audio_transcription.completed":
                break
    deltas = "".join(event.delta for event in events if event.type.endswith("transcription.delta"))
    assert deltas == events[-1].transcript and deltas, (deltas, events[-1])
    return events


@check
def realtime_commit(client):
    return converse(client, None, True)[-1].transcript


@check
def realtime_server_vad(client):
    types = [event.type for event in converse(client, {"type": "server_vad"}, False)]
    assert "input_audio_buffer.speech_started" in types and "input_audio_buffer.speech_stopped" in types, types


def main():
    server = subprocess.Popen([PROGRAM, "serve", "--port", "0", "--access-log", ""], stderr=subprocess.PIPE, text=True)
    try:
        port = next(found.group(1) for line in server.stderr if (found := re.search(r"listening on .*:(\d+)$", line.strip())))
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="unused")
        n_failed = 0
        for function in CHECKS:
            try:
                detail = function(client)
                print(f"ok      {function.__name__}" + (f": {detail}" if detail else ""))
            except Exception:  # pylint: disable=broad-except
                n_failed += 1
                print(f"FAILED  {function.__name__}\n{traceback.format_exc()}")
        print(f"openai {openai.__version__}: {len(CHECKS) - n_failed} of {len(CHECKS)} checks passed")
        return 1 if n_failed else 0
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    sys.exit(main())
