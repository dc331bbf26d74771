#!/usr/bin/env python3
"""Makes the demo model's training sentences, held-out sentences and tokenizer from the unpacked packages.

    prepare_text.py --sources DIR/root --out OUT

Writes OUT/train.tsv.gz and OUT/held.tsv, OUT/validation.tsv (kind, sentence), OUT/vocab.json, OUT/merges.txt,
OUT/added_tokens.json and OUT/stats.json (sentences and characters per source). Deterministic for given packages.
No sentence of held.tsv or validation.tsv is in train.tsv.gz, and neither is any other piece of its verse or
paragraph.
"""
import argparse
import collections
import gzip
import json
import random
import re
from typing import NamedTuple

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

import sources
from templates import Templates

SEED = 20
N_TEMPLATES = 62_000
N_WORD_SEQUENCES = 9_000
# At most this many sentences of a source, and how often each is written (a repeated sentence gets another voice).
CAPS = {"wordnet_example": (60_000, 2), "wordnet_gloss": (36_000, 1), "king_james": (8_000, 1), "austen": (22_000, 1),
        "devils_dictionary": (3_000, 1), "template": (N_TEMPLATES, 1)}
# Every word of a sentence must occur in this many sentences, so that names seen once do not fill the vocabulary.
MIN_WORD_COUNT = {"wordnet_gloss": 8, "template": 1}
HELD = {"template": 230, "wordnet_example": 190, "austen": 110, "king_james": 90, "wordnet_gloss": 60, "devils_dictionary": 20}
N_VALIDATION = 80
# Spoken in the sample recordings and therefore never trained on.
DEMO_SENTENCES = [
    "What is the weather like in Boston this weekend?", "The meeting on Thursday starts at a quarter past ten.",
    "Please turn off the kitchen light and close the garage door.", "The train from Dublin arrives at seven forty five in the evening.",
    "Could you tell me how to get to the museum?", "She borrowed an old telescope from the library last winter.",
    "Remind me to send the report to Helen Parker on Friday.", "The first version of the program was written in nineteen eighty four.",
    "It will be cloudy tomorrow with a high of sixty two degrees.", "We should test the new release before the presentation.",
    "My flight to San Francisco leaves at half past six in the morning.", "The engineer explained how the machine recognizes speech."]
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|audio_start|>", "<|audio_end|>", "<|audio_pad|>",
                  "<asr_text>", "<timestamp>"]
VOCAB_SIZE = 1536  # 256 bytes + 1,272 merges + 8 special tokens
# Qwen2's pre-tokenizer expression.
PRETOKEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
            r"\s+(?!\S)|\s+")


class Sentence(NamedTuple):
    kind: str
    text: str
    unit: str  # verse, paragraph, definition or example the sentence came from


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def read_sources(root: str) -> dict[str, list[Sentence]]:
    found = collections.defaultdict(dict)  # kind -> text -> Sentence, first one wins

    def add(kind: str, text: str, unit: str):
        text = sources.clean(text)
        n_words = len(text.split())
        if sources.usable(text) and n_words >= (1 if kind == "wordnet_example" else 3):
            found[kind].setdefault(text, Sentence(kind, text, unit))

    readers = {"king_james": sources.king_james, "austen": sources.austen, "devils_dictionary": sources.devils_dictionary}
    for kind, reader in readers.items():
        for number, passage in enumerate(reader(root)):
            for sentence in sources.sentences(passage):
                add(kind, sentence, f"{kind}{number}")
                for clause in sources.clauses(sentence):
                    add(kind, clause, f"{kind}{number}")
    for number, (kind, text) in enumerate(sources.wordnet(root)):
        add(kind, text, f"{kind}{number}")
    return {kind: list(by_text.values()) for kind, by_text in found.items()}


def add_templates(found: dict, root: str, rng: random.Random):
    """Template sentences, with nouns, adjectives and verbs of WordNet and its names that other sources mention."""
    counts = collections.Counter(word for items in found.values() for item in items for word in set(words_of(item.text)))
    known = lambda words, least: [word for word in words if all(counts[part] >= least for part in words_of(word))]
    drawn = Templates(rng, known(sources.wordnet_lemmas(root, "noun"), 3), known(sources.wordnet_proper(root), 4),
                      known(sources.wordnet_lemmas(root, "adj"), 3), known(sources.wordnet_lemmas(root, "verb"), 3))
    items = {}
    while len(items) < N_TEMPLATES:
        text = drawn.sentence()
        if sources.usable(text):
            items.setdefault(text, Sentence("template", text, text))
    found["template"] = list(items.values())


def select(found: dict, rng: random.Random) -> tuple[list[Sentence], collections.Counter]:
    """Drops sentences with rare words and what exceeds a source's cap."""
    counts = collections.Counter(word for items in found.values() for item in items for word in set(words_of(item.text)))
    kept, seen = [], {text.lower() for text in DEMO_SENTENCES}
    for kind, (cap, _) in CAPS.items():
        least = MIN_WORD_COUNT.get(kind, 4)
        items = [item for item in found[kind] if all(counts[word] >= least for word in words_of(item.text))]
        rng.shuffle(items)
        items = [item for item in items[:cap] if item.text.lower() not in seen]
        seen.update(item.text.lower() for item in items)
        kept += items
    return kept, counts


def hold_out(kept: list[Sentence], rng: random.Random):
    """-> (train, held, validation); held and validation follow HELD's shares."""
    rng.shuffle(kept)
    wanted = {kind: n + n * N_VALIDATION // sum(HELD.values()) + 1 for kind, n in HELD.items()}
    held, validation = [], []
    for item in kept:
        if wanted[item.kind] > 0 and 3 <= len(item.text.split()) <= 27:
            wanted[item.kind] -= 1
            n_held = sum(other.kind == item.kind for other in held)
            (held if n_held < HELD[item.kind] else validation).append(item)
    rng.shuffle(held)  # the kinds' shares were not filled at the same pace
    rng.shuffle(validation)
    units = {item.unit for item in held + validation}
    return [item for item in kept if item.unit not in units], held, validation


def word_sequences(counts: collections.Counter, rng: random.Random) -> list[Sentence]:
    """Random words in a row: the model must listen, not guess."""
    vocabulary = sorted(word for word, n in counts.items() if n >= 12 and re.fullmatch(r"[a-z]{2,}('[a-z]+)?", word))
    texts = [" ".join(rng.choice(vocabulary) for _ in range(rng.randint(1, 7))) for _ in range(N_WORD_SEQUENCES)]
    return [Sentence("word_sequence", text[0].upper() + text[1:] + ".", "") for text in texts
            if not sources.BLOCKED.search(text)]


def train_tokenizer(texts: list[str], out: str):
    """Byte-level BPE with Qwen2's pre-tokenizer; the words of the prompt become single tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PRETOKEN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE - len(SPECIAL_TOKENS), show_progress=False, special_tokens=[],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    prompt_words = ["language", "x English", "x None", "system", "user", "assistant"]
    tokenizer.train_from_iterator(texts + prompt_words * 300_000, trainer)
    tokenizer.model.save(out)
    n_tokens = tokenizer.get_vocab_size()
    if n_tokens != VOCAB_SIZE - len(SPECIAL_TOKENS):
        raise SystemExit(f"tokenizer: {n_tokens} tokens, expected {VOCAB_SIZE - len(SPECIAL_TOKENS)}")
    with open(f"{out}/added_tokens.json", "w") as file:
        json.dump({token: n_tokens + index for index, token in enumerate(SPECIAL_TOKENS)}, file, indent=2)


def write_tsv(path: str, items: list[Sentence]):
    with (gzip.open(path, "wt") if path.endswith(".gz") else open(path, "w")) as file:
        file.writelines(f"{item.kind}\t{item.text}\n" for item in items)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", required=True, help="root/ folder of fetch_sources.sh")
    parser.add_argument("--out", required=True, help="folder to write to; must exist")
    arguments = parser.parse_args()
    root = sources.checked_root(arguments.sources)
    rng = random.Random(SEED)
    found = read_sources(root)
    add_templates(found, root, rng)
    kept, counts = select(found, rng)
    train, held, validation = hold_out(kept, rng)
    train = [item for item in train for _ in range(CAPS[item.kind][1])] + word_sequences(counts, rng)
    rng.shuffle(train)
    held += [Sentence("demo", text, "") for text in DEMO_SENTENCES]
    if {item.text.lower() for item in held + validation} & {item.text.lower() for item in train}:
        raise SystemExit("prepare_text: a held-out sentence is in the training text")
    write_tsv(f"{arguments.out}/train.tsv.gz", train)
    write_tsv(f"{arguments.out}/held.tsv", held)
    write_tsv(f"{arguments.out}/validation.tsv", validation)
    train_tokenizer([item.text for item in train], arguments.out)
    stats = {kind: {"available": len(found.get(kind, [])), "distinct": len({i.text for i in train if i.kind == kind}),
                    "written": sum(i.kind == kind for i in train),
                    "characters": sum(len(i.text) for i in train if i.kind == kind),
                    "held": sum(i.kind == kind for i in held)}
             for kind in [*CAPS, "word_sequence", "demo"]}
    with open(f"{arguments.out}/stats.json", "w") as file:
        json.dump(stats, file, indent=2)
    for kind, row in stats.items():
        print(f"{kind:18}" + "".join(f"{name} {value:<10}" for name, value in row.items()))
    print("train", len(train), "characters", sum(len(item.text) for item in train), "held", len(held), "validation",
          len(validation))


if __name__ == "__main__":
    main()
