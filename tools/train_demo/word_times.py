"""Speech together with the times of its words, as the synthesisers know them.

A sentence's words are what stands between spaces. A time that a synthesiser does not tell is NaN: espeak-ng speaks "of the"
as one word, for instance, so where the first ends and the second begins is unknown.

  flite      flite_times.c: ends of the segments of each token
  festival   relations Token, Word and Segment after synthesis, printed by Scheme
  espeak-ng  espeak_times.c: word events (starts) and phoneme events (a pause ends the word before it)
"""
import collections

import numpy as np

from voices import Espeak, FestivalDiphone, FestivalHts, Flite, Synthesizer

# Writes the tokens of one utterance: number, start and end of those of its words that have sound.
_TOKEN_TIMES = """(define (print_token index number token)
  (let ((word (item.daughter1 token)) (start -1) (end -1))
    (while word
      (if (> (item.feat word "word_end") 0)
        (begin (if (< start 0) (set! start (item.feat word "word_start"))) (set! end (item.feat word "word_end"))))
      (set! word (item.relation.next word "Token")))
    (if (> end 0) (format t "%d %d %f %f\\n" index number start end))))
(define (print_tokens utt index)
  (let ((token (utt.relation.first utt 'Token)) (number 0))
    (while token (print_token index number token) (set! number (+ 1 number)) (set! token (item.next token)))
    (format t "%d end %d\\n" index number)))
(define (speak_to text file index)
  (unwind-protect (let ((utt (utt.synth (eval (list (quote Utterance) (quote Text) text)))))
    (utt.save.wave utt file (quote riff)) (print_tokens utt index)) nil))
"""


class TimedSynthesizer(Synthesizer):
    def speak_timed(self, voice, texts: list[str]) -> list[tuple[np.ndarray, np.ndarray] | None]:
        """Per sentence (int16 [n_samples] at 16 kHz, f64 [n_words, 2] seconds of starts and ends); None where a program failed,
        spoke nonsense or saw other words."""
        printed = f"{self.folder}/times.txt"
        if isinstance(voice, Espeak):
            command = [f"{self.root}/bin/espeak_times", voice.name, str(voice.speed), str(voice.pitch), self.folder]
            self._run(command, 240, texts, printed)
        elif isinstance(voice, Flite):
            self._run([f"{self.root}/bin/flite_times", voice.name, f"{voice.stretch:.3f}", self.folder], 240, texts, printed)
        else:
            script = _TOKEN_TIMES + self.festival_setup(voice)
            script += "".join(f'(speak_to "{text}" "{self.folder}/{index}.wav" {index})\n' for index, text in enumerate(texts))
            self._run_festival(script, printed)
        rows = collections.defaultdict(list)
        for line in open(printed, errors="replace"):
            fields = line.split()
            if len(fields) >= 3 and fields[0].isdigit():
                rows[int(fields[0])].append(fields[1:])
        read = self._espeak_words if isinstance(voice, Espeak) else self._token_words
        return [self._with_times(f"{self.folder}/{index}.wav", text, read(rows[index], text)) for index, text in enumerate(texts)]

    def _with_times(self, path: str, text: str, times: np.ndarray | None):
        clip = self.collect_with_start(path, text)
        if clip is None or times is None:
            return None
        samples, start = clip
        times = np.clip(times - start, 0, len(samples) / 16000)
        known = times[~np.isnan(times)]
        if len(known) == 0 or (np.diff(known) < -1e-6).any():
            return None
        return samples, times

    @staticmethod
    def _token_words(rows: list[list[str]], text: str) -> np.ndarray | None:
        """Lines NUMBER START END of flite_times and of festival; the last is "end COUNT"."""
        n_words = len(text.split())
        if not rows or rows[-1] != ["end", str(n_words)]:
            return None
        times = np.full((n_words, 2), np.nan)
        for number, start, end in rows[:-1]:
            times[int(number)] = float(start), float(end)
        return times

    @staticmethod
    def _espeak_words(rows: list[list[str]], text: str) -> np.ndarray | None:
        """A word ends at the first pause after its phonemes, or where the next begins."""
        if not rows or rows[-1][0] != "e":
            return None
        position, word_at = 0, {}
        for index, word in enumerate(text.split()):
            position = text.index(word, position)
            word_at |= {character: index for character in range(position, position + len(word))}
            position += len(word)
        times, current, sounded = np.full((len(text.split()), 2), np.nan), None, False
        for kind, *fields in rows:
            second = float(fields[-1]) / 1000
            if kind == "w":
                index = word_at.get(int(fields[0]))
                if index is None or (current is not None and index < current):
                    return None
                if current is not None and index != current and np.isnan(times[current, 1]):
                    times[current, 1] = second
                if index != current:
                    times[index, 0], current, sounded = second, index, False
            elif kind == "p" and not fields[0].startswith("_"):
                sounded = True
                if current is not None:
                    times[current, 1] = np.nan  # a pause inside the word
            elif current is not None and sounded and np.isnan(times[current, 1]):
                times[current, 1] = second
        silent = np.isnan(times[:, 0])  # spoken with the word before: that one's end is not known either
        for index in np.nonzero(silent)[0]:
            last = index - 1
            if last >= 0 and not np.isnan(times[last, 1]):
                times[index, 1], times[last, 1] = times[last, 1], np.nan
        return times
