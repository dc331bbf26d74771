"""Readers of the text sources and the cleaning that turns them into sentences a synthesiser can speak.

Every reader yields raw text; `sentences` splits it, `clean` normalises it to letters, spaces and , . ? ! ', and
`usable` decides. The transcripts of the demo model therefore hold no digits, quotes, colons or hyphens.
"""
import gzip
import os
import re
import struct
import subprocess
import zlib

# Words that have no place in a demo; matched as prefixes.
BLOCKED = re.compile(
    r"\b(nigg|fuck|shit|cunt|bitch|whore|rape|raping|jew|faggot|negro|slut|penis|vagin|sex|masturb|pussy|dick|tits|nazi|"
    r"hitler|bastard|piss|damn|darky|coon|savage|mulatto|squaw|harlot|fornicat|dung|concubine|foreskin|circumcis|"
    r"genital|testic|copulat|semen|breasts|nipple|prostitut|incest|homosex|gypsy|gypsies|suicid|slave)\w*", re.I)
ROMAN_NUMERAL = re.compile(r"\b[IVXLC]{2,}\b")
ABBREVIATION = re.compile(r"\b(etc|esp|cf|vs|viz|St|Jr|Prof|Gen|Col|Capt|no|vol|pl|sing|obs|fig|hence|pert|ch|approx)\.")
TITLES = re.compile(r"\b(Mr|Mrs|Dr)\.")


def clean(text: str) -> str:
    """Spoken form: typographic marks mapped or dropped, brackets removed, a capital at the start, a stop at the end."""
    for mark, plain in {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2014": ", ", "\u2013": ", "}.items():
        text = text.replace(mark, plain)
    text = re.sub(r"\[[^\]]*\]|\([^)]*\)|[{}]", " ", text)
    text = re.sub(r"\s--+\s?|--+|\s-\s", ", ", text)
    text = re.sub(r"[;:]", ",", text)
    text = re.sub(r"(?<=\w)-(?=\w)", " ", text)
    text = re.sub(r"[\"`]", "", text).replace("_", "")
    text = text.replace("&", " and ")
    text = re.sub(r"(^|\s)'+|'+(?=\s|$|[,.?!])", r"\1", text)
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\s+([,.?!])", r"\1", text)
    text = re.sub(r"([,.?!])[,.?!]+", r"\1", text)
    text = re.sub(r",(?=\S)", ", ", text).strip(" ,'")
    if not text:
        return ""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".?!" else text + "."


def usable(text: str) -> bool:
    """One plain sentence of 1 to 42 words that reads as written."""
    if not 4 <= len(text) <= 230 or not re.fullmatch(r"[A-Z][A-Za-z ,.?!']*[.?!]", text):
        return False
    words = text.split()
    if len(words) > 42 or BLOCKED.search(text) or ROMAN_NUMERAL.search(text) or ABBREVIATION.search(text):
        return False
    if re.search(r"[.?!]", TITLES.sub("", text[:-1])):
        return False
    return all(_usable_word(word.strip(",.?!'")) for word in words)


def _usable_word(word: str) -> bool:
    if not word or len(word) > 17 or (len(word) > 1 and word.isupper()):
        return False
    if len(word) == 1 and word not in "aAIO":
        return False
    return not re.search(r"[a-z][A-Z]", word) or word.startswith(("Mc", "O'"))


def sentences(text: str):
    """Splits at . ? ! before a capital; titles do not end a sentence."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"\b(Mr|Mrs|Dr)\. ", "\\1\0 ", text)  # NUL stands for a stop that ends nothing
    for part in re.split(r"(?<=[.?!])[\"')]*\s+(?=[\"'(]?[A-Z])", text):
        yield part.replace("\0", ".")


def clauses(text: str):
    """Pieces of a long sentence between semicolons, colons and dashes, so that it is not lost."""
    return re.split(r"[;:]|--", text) if len(text) > 150 else []


def king_james(root: str):
    """Verses, read by the package's own program."""
    command = [f"{root}/usr/bin/bible", "-p", f"{root}/usr/lib", "-f", "gen1:1-rev22:21"]
    listing = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout.decode("latin1")
    for line in listing.splitlines():
        verse = re.match(r"\S+\d+:\d+ (.*)", line)
        if verse:
            yield verse.group(1)


def austen(root: str):
    """Paragraphs of the six novels: character vectors in an R data base (length, zlib, XDR serialisation)."""
    data = open(f"{root}/usr/lib/R/site-library/janeaustenr/data/Rdata.rdb", "rb").read()
    while data:
        stream = zlib.decompressobj()
        yield from re.split(r"\n\s*\n", "\n".join(_r_strings(stream.decompress(data[4:]))))
        data = stream.unused_data


def _r_strings(blob: bytes):
    """Elements of a serialised character vector: type word ending in 9, byte length, bytes."""
    start = blob.index(b"\0\0\0\x10") + 8
    while start + 8 <= len(blob) and blob[start + 3] == 9:
        (size,) = struct.unpack(">i", blob[start + 4:start + 8])
        yield blob[start + 8:start + 8 + size].decode("utf8", "ignore")
        start += 8 + size


def devils_dictionary(root: str):
    """Definitions and remarks; verse and headwords drop out in `usable`."""
    text = gzip.open(f"{root}/usr/share/dictd/devil.dict.dz").read().decode("utf8", "ignore")
    for paragraph in re.split(r"\n\s*\n", text):
        if not paragraph.startswith("     "):
            yield re.sub(r"^\s*[A-Z' -]+,? (n|adj|v\.[ti]|adv|pp|pro|x)\.\s+", "", paragraph)


def wordnet(root: str):
    """(kind, text): usage examples and definitions of every synset."""
    for part in ("noun", "verb", "adj", "adv"):
        for line in open(f"{root}/usr/share/wordnet/data.{part}", encoding="latin1"):
            if line.startswith("  ") or "|" not in line:
                continue
            gloss = line.split("|", 1)[1].strip()
            for example in re.findall(r'"([^"]+)"', gloss):
                yield "wordnet_example", example
            yield "wordnet_gloss", re.sub(r'"[^"]*".*', "", gloss).split(";")[0].strip(" ;")


def wordnet_lemmas(root: str, part: str, tagged_only: bool = True) -> list[str]:
    """Single-word lower-case lemmas of one part of speech; tagged_only keeps those seen in a sense-tagged corpus."""
    words = []
    for line in open(f"{root}/usr/share/wordnet/index.{part}", encoding="latin1"):
        fields = line.split()
        if line.startswith("  ") or not re.fullmatch(r"[a-z]{3,14}", fields[0]) or BLOCKED.search(fields[0]):
            continue
        n_pointers = int(fields[3])
        if not tagged_only or int(fields[5 + n_pointers]) > 0:
            words.append(fields[0])
    return words


def wordnet_proper(root: str) -> list[str]:
    """Capitalised one- and two-word lemmas of the lexicographer files noun.location (15) and noun.person (18)."""
    names = set()
    for line in open(f"{root}/usr/share/wordnet/data.noun", encoding="latin1"):
        fields = line.split()
        if not line.startswith("  ") and fields[1] in ("15", "18"):
            for word in fields[4:4 + 2 * int(fields[3], 16):2]:
                if re.fullmatch(r"[A-Z][a-z]{3,12}(_[A-Z][a-z]{2,12})?", word) and not BLOCKED.search(word):
                    names.add(word.replace("_", " "))
    return sorted(names)


def checked_root(path: str) -> str:
    if not os.path.isdir(f"{path}/usr/share/wordnet"):
        raise SystemExit(f"sources: {path} holds no usr/share/wordnet; run fetch_sources.sh first and give its root/ folder")
    return path
