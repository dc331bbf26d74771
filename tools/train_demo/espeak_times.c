/* Speaks sentences with espeak-ng and prints when each word was said.
 *
 *   espeak_times VOICE WORDS_A_MINUTE PITCH FOLDER < sentences
 *
 * One sentence a line, ASCII. Writes FOLDER/0.wav, FOLDER/1.wav, ... (16-bit mono at the engine's rate) and prints for each
 * phoneme and word event "SENTENCE w CHARACTER MS" (a word begins; its place in the sentence, from 0) or
 * "SENTENCE p NAME MS" (a phoneme begins; pauses begin with "_"), in time order, and "SENTENCE e MS" at the end. */
#include <espeak-ng/speak_lib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *wav;
static unsigned n_samples;
static int sentence;

static int on_audio(short *samples, int count, espeak_EVENT *event) {
  for (; event->type != espeakEVENT_LIST_TERMINATED; ++event) {
    if (event->type == espeakEVENT_WORD && event->text_position > 0) printf("%d w %d %d\n", sentence, event->text_position - 1, event->audio_position);
    if (event->type == espeakEVENT_PHONEME) printf("%d p %.8s %d\n", sentence, event->id.string[0] ? event->id.string : "-", event->audio_position);
  }
  if (samples && count > 0) n_samples += (unsigned)fwrite(samples, 2, (size_t)count, wav);
  return 0;
}

static void write_header(int rate) {
  const uint32_t bytes = n_samples * 2;
  const uint32_t fields[] = {36 + bytes, 16, 0x00010001, (uint32_t)rate, (uint32_t)rate * 2, 0x00100002, bytes};
  rewind(wav);
  fwrite("RIFF", 1, 4, wav), fwrite(&fields[0], 4, 1, wav), fwrite("WAVEfmt ", 1, 8, wav);
  fwrite(&fields[1], 4, 5, wav), fwrite("data", 1, 4, wav), fwrite(&fields[6], 4, 1, wav);
}

/* By name, else by language and variant, as the espeak-ng program does. */
static int choose_voice(const char *name) {
  if (espeak_SetVoiceByName(name) == EE_OK) return 1;
  espeak_VOICE wanted;
  memset(&wanted, 0, sizeof wanted);
  wanted.languages = name;
  return espeak_SetVoiceByProperties(&wanted) == EE_OK;
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: espeak_times VOICE WORDS_A_MINUTE PITCH FOLDER < sentences\n");
    return 2;
  }
  const int rate = espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, getenv("ESPEAK_DATA_PATH"), espeakINITIALIZE_PHONEME_EVENTS);
  if (rate <= 0 || !choose_voice(argv[1])) {
    fprintf(stderr, "espeak_times: no voice %s\n", argv[1]);
    return 1;
  }
  espeak_SetParameter(espeakRATE, atoi(argv[2]), 0);
  espeak_SetParameter(espeakPITCH, atoi(argv[3]), 0);
  espeak_SetSynthCallback(on_audio);
  char line[4096], path[4096];
  for (sentence = 0; fgets(line, sizeof line, stdin); ++sentence) {
    line[strcspn(line, "\n")] = 0;
    snprintf(path, sizeof path, "%s/%d.wav", argv[4], sentence);
    wav = fopen(path, "w+b");
    if (!wav) return 1;
    n_samples = 0;
    write_header(rate);
    espeak_Synth(line, strlen(line) + 1, 0, POS_CHARACTER, 0, espeakCHARS_AUTO | espeakENDPAUSE, NULL, NULL);
    espeak_Synchronize();
    write_header(rate);
    fclose(wav);
    printf("%d e %lld\n", sentence, (long long)n_samples * 1000 / rate);
    fflush(stdout);
  }
  return 0;
}
