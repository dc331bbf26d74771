"""The words of a text as the forced aligner cuts them, for languages with spaces and no ideographs."""


def aligner_words(text: str) -> list[str]:
    """One for each piece between spaces: its letters, digits and apostrophes; "" where nothing of it is left."""
    return ["".join(c for c in word if c.isalnum() or c == "'") for word in text.split()]
