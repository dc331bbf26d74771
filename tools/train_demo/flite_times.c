/* Speaks sentences with flite and prints when each word was said.
 *
 *   flite_times VOICE DURATION_STRETCH FOLDER < sentences
 *
 * One sentence a line. VOICE is slt, awb, rms or kal16. Writes FOLDER/0.wav, FOLDER/1.wav, ... and prints one line for each
 * token of the text (what stands between spaces): "SENTENCE NUMBER_OF_TOKEN START END", seconds. A token of several words
 * ("it's" is two for flite) lasts from the first to the last of them; one without sound is left out. */
#include <flite/flite.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cst_voice *register_cmu_us_slt(const char *);
cst_voice *register_cmu_us_awb(const char *);
cst_voice *register_cmu_us_rms(const char *);
cst_voice *register_cmu_us_kal16(const char *);

static cst_voice *voice_called(const char *name) {
  if (strcmp(name, "slt") == 0) return register_cmu_us_slt(NULL);
  if (strcmp(name, "awb") == 0) return register_cmu_us_awb(NULL);
  if (strcmp(name, "rms") == 0) return register_cmu_us_rms(NULL);
  if (strcmp(name, "kal16") == 0) return register_cmu_us_kal16(NULL);
  return NULL;
}

static void print_token(int sentence, int number, const cst_item *token) {
  double start = -1, end = -1;
  for (const cst_item *word = item_daughter(token); word; word = item_next(word)) {
    const cst_item *structure = item_as(word, "SylStructure");
    for (const cst_item *syllable = structure ? item_daughter(structure) : NULL; syllable; syllable = item_next(syllable)) {
      for (const cst_item *phone = item_daughter(syllable); phone; phone = item_next(phone)) {
        const cst_item *segment = item_as(phone, "Segment");
        const cst_item *before = item_prev(segment);
        if (start < 0) start = before ? item_feat_float(before, "end") : 0.0;
        end = item_feat_float(segment, "end");
      }
    }
  }
  if (start >= 0) printf("%d %d %.4f %.4f\n", sentence, number, start, end);
}

int main(int argc, char **argv) {
  flite_init();
  cst_voice *voice = argc == 4 ? voice_called(argv[1]) : NULL;
  if (!voice) {
    fprintf(stderr, "usage: flite_times slt|awb|rms|kal16 DURATION_STRETCH FOLDER < sentences\n");
    return 2;
  }
  feat_set_float(voice->features, "duration_stretch", (float)atof(argv[2]));
  char line[4096], path[4096];
  for (int sentence = 0; fgets(line, sizeof line, stdin); ++sentence) {
    line[strcspn(line, "\n")] = 0;
    cst_utterance *utterance = flite_synth_text(line, voice);
    if (!utterance) continue;
    int number = 0;
    for (const cst_item *token = relation_head(utt_relation(utterance, "Token")); token; token = item_next(token)) {
      print_token(sentence, number++, token);
    }
    snprintf(path, sizeof path, "%s/%d.wav", argv[3], sentence);
    cst_wave_save_riff(utt_wave(utterance), path);
    printf("%d end %d\n", sentence, number);
    fflush(stdout);
    delete_utterance(utterance);
  }
  return 0;
}
