#include "model/model.h"

#include <string>

namespace qasr {

Tokenizer load_tokenizer(const CheckpointFiles& files, const ModelConfig& config) {
  const auto text = [&](std::string_view name) {
    const CheckpointFile* file = files.find(name);
    return file == nullptr ? std::string_view() : file->text();
  };
  Tokenizer tokenizer({.tokenizer_json = text("tokenizer.json"),
                       .vocab_json = text("vocab.json"),
                       .merges_txt = text("merges.txt"),
                       .tokenizer_config_json = text("tokenizer_config.json"),
                       .added_tokens_json = text("added_tokens.json"),
                       .where = files.where()});
  if (tokenizer.size() > config.text.vocab) {
    throw Error(ErrorCode::kModel, "tokenizer: " + std::to_string(tokenizer.size()) + " tokens, but the head has " +
                                       std::to_string(config.text.vocab) + " rows (vocab_size of config.json) in " +
                                       files.where());
  }
  return tokenizer;
}

Model::Model(const CheckpointFiles& files, const ModelConfig& config, const WeightPacker& weights)
    : config_(config),
      tokenizer_(load_tokenizer(files, config)),
      log_mel_({.n_mels = config.audio.n_mels}),
      front_end_(log_mel_, weights.backend()),
      encoder_(config.audio, weights),
      decoder_(config.text, config.audio_token_id, weights) {
  if (config.is_forced_aligner) {
    align_prompt_.emplace(tokenizer_, config, files.where());
  } else {
    prompt_.emplace(tokenizer_, config.audio_token_id, files.where());
  }
}

}  // namespace qasr
