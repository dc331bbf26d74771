// config.json and generation_config.json: both layouts, and everything that must be refused.
#include "weights/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weights/config_json.h"
#include "weights/synthetic_models.h"
#include "weights/test_files.h"

namespace qasr {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::model_error;
using testing::to_bytes;
using testing::with_file;
using testing::with_json;

CheckpointFiles files_of(const ModelConfig& config) {
  return CheckpointFiles::from_owned({{"config.json", to_bytes(config_json(config, DType::kBf16))},
                                      {"generation_config.json", to_bytes(generation_config_json(config))}},
                                     "DIR");
}

ModelConfig in_layout(const char* model, CheckpointLayout layout) {
  ModelConfig config = synthetic_model(model).config;
  config.layout = layout;
  return config;
}

CheckpointFiles official(const char* model = "qwen3-asr-0.6b") {
  return files_of(in_layout(model, CheckpointLayout::kOfficial));
}

CheckpointFiles transformers(const char* model = "qwen3-asr-0.6b") {
  return files_of(in_layout(model, CheckpointLayout::kTransformers));
}

// The error after an edit of config.json; the editor gets the object that holds audio_config and text_config.
std::string edit_error(const std::function<void(json&)>& edit) {
  const CheckpointFiles files =
      with_json(official(), "config.json", [&](json& config) { edit(config["thinker_config"]); });
  const std::string message = model_error([&] { parse_model_config(files); });
  EXPECT_THAT(message, HasSubstr("DIR/config.json"));
  return message;
}

TEST(ModelConfig, BothLayoutsOfEveryModelReadBackAsWritten) {
  for (const std::string& name : synthetic_model_names()) {
    for (const CheckpointLayout layout : {CheckpointLayout::kOfficial, CheckpointLayout::kTransformers}) {
      ModelConfig config = in_layout(name.c_str(), layout);
      config.max_new_tokens = 256;
      config.is_demo = true;
      config.recommended_max_segment_s = 12.5;
      EXPECT_TRUE(parse_model_config(files_of(config)) == config) << name;
    }
  }
}

TEST(ModelConfig, SizesOfThe600MModel) {
  const ModelConfig config = parse_model_config(official());
  EXPECT_EQ(config.layout, CheckpointLayout::kOfficial);
  EXPECT_EQ(config.audio.d_model, 896);
  EXPECT_EQ(config.audio.head_dim(), 64);
  EXPECT_EQ(config.audio.chunk_frames(), 100);
  EXPECT_EQ(config.text.head_dim, 128);  // not hidden / heads, which would be 64
  EXPECT_EQ(config.text.rms_norm_eps, 1e-6F);
  EXPECT_EQ(config.text.rope_theta, 1e6);
  EXPECT_EQ(config.audio_token_id, 151676);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(151643, 151645));
  EXPECT_TRUE(config.text.tied_head);
  EXPECT_FALSE(config.is_forced_aligner);
}

TEST(ModelConfig, AliasesOfTransformersAreRead) {
  const CheckpointFiles files = with_json(transformers(), "config.json", [](json& config) {
    json& audio = config["audio_config"];
    const std::pair<const char*, const char*> names[] = {{"encoder_layers", "num_hidden_layers"},
                                                         {"encoder_attention_heads", "num_attention_heads"},
                                                         {"encoder_ffn_dim", "intermediate_size"},
                                                         {"d_model", "hidden_size"}};
    for (const auto& [official_name, alias] : names) {
      audio[alias] = audio[official_name];
      audio.erase(official_name);
    }
  });
  EXPECT_TRUE(parse_model_config(files) == parse_model_config(transformers()));
}

TEST(ModelConfig, RopeThetaFromEveryPlaceItIsKept) {
  const auto theta_after = [](const std::function<void(json&)>& edit) {
    return parse_model_config(with_json(official(), "config.json",
                                        [&](json& config) {
                                          json& text = config["thinker_config"]["text_config"];
                                          text.erase("rope_theta");
                                          text.erase("rope_scaling");
                                          edit(text);
                                        }))
        .text.rope_theta;
  };
  EXPECT_EQ(theta_after([](json& text) { text["rope_theta"] = 500000; }), 500000);
  EXPECT_EQ(theta_after([](json& text) {
              text["rope_parameters"] = {{"rope_theta", 2e6}, {"rope_type", "default"}};
            }),
            2e6);
  EXPECT_EQ(theta_after([](json& text) {
              text["rope_theta"] = 1000000.0;
              text["rope_scaling"] = {{"type", "default"}, {"mrope_section", {24, 20, 20}}, {"interleaved", true}};
            }),
            1e6);
}

TEST(ModelConfig, EndOfSequenceIdsFromEveryPlaceTheyAreKept) {
  const auto ids_after = [](const std::optional<std::string>& generation, const std::function<void(json&)>& edit) {
    return parse_model_config(
               with_json(with_file(official(), "generation_config.json", generation), "config.json", edit))
        .eos_token_ids;
  };
  const auto nothing = [](json&) {};
  EXPECT_THAT(ids_after(R"({"eos_token_id": 5})", nothing), ElementsAre(5));
  EXPECT_THAT(ids_after(R"({"eos_token_id": [5, 6]})", [](json& config) { config["eos_token_id"] = 9; }),
              ElementsAre(5, 6));
  EXPECT_THAT(ids_after("{}", [](json& config) { config["eos_token_id"] = {7, 8}; }), ElementsAre(7, 8));
  EXPECT_THAT(
      ids_after(R"({"eos_token_id": null})", [](json& config) { config["thinker_config"]["eos_token_id"] = 9; }),
      ElementsAre(9));
  EXPECT_THAT(ids_after({}, [](json& config) { config["thinker_config"]["text_config"]["eos_token_id"] = 10; }),
              ElementsAre(10));
  const CheckpointFiles files = with_file(official(), "generation_config.json", {});
  EXPECT_THAT(model_error([&] { parse_model_config(files); }), HasSubstr("eos_token_id is missing"));
}

TEST(ModelConfig, ForcedAlignersAreRecognisedByAnyOfTheirMarks) {
  const ModelConfig aligner = parse_model_config(official("qwen3-forced-aligner-0.6b"));
  EXPECT_TRUE(aligner.is_forced_aligner);
  EXPECT_EQ(aligner.n_classes, 5000);
  EXPECT_FALSE(aligner.text.tied_head);
  // transformers: the number of labels, as a number or as the size of id2label.
  const CheckpointFiles files = transformers("qwen3-forced-aligner-0.6b");
  EXPECT_EQ(parse_model_config(files).n_classes, 5000);
  const CheckpointFiles counted = with_json(files, "config.json", [](json& config) {
    config.erase("id2label");
    config.erase("architectures");
    config["num_labels"] = 40;
  });
  EXPECT_EQ(parse_model_config(counted).n_classes, 40);
  // Recognisers carry two meaningless labels.
  const CheckpointFiles labelled = with_json(transformers(), "config.json", [](json& config) {
    config["id2label"] = {{"0", "LABEL_0"}, {"1", "LABEL_1"}};
  });
  EXPECT_FALSE(parse_model_config(labelled).is_forced_aligner);
  EXPECT_THAT(edit_error([](json& thinker) { thinker["model_type"] = "qwen3_forced_aligner"; }),
              HasSubstr("thinker_config.classify_num is missing"));
}

TEST(ModelConfig, SlotsOfForcedAligners) {
  const ModelConfig aligner = parse_model_config(official("qwen3-forced-aligner-0.6b"));
  EXPECT_EQ(aligner.timestamp_token_id, 151705);
  EXPECT_EQ(aligner.class_ms, 80);
  const auto edited = [](const std::function<void(json&)>& edit) {
    return parse_model_config(with_json(official("qwen3-forced-aligner-0.6b"), "config.json", edit));
  };
  EXPECT_EQ(edited([](json& config) { config["timestamp_segment_time"] = 40; }).class_ms, 40);
  EXPECT_EQ(edited([](json& config) { config.erase("timestamp_segment_time"); }).class_ms, 80);
  EXPECT_EQ(edited([](json& config) { config.erase("timestamp_token_id"); }).timestamp_token_id, -1);
  EXPECT_THAT(model_error([&] { edited([](json& config) { config["timestamp_token_id"] = 152064; }); }),
              HasSubstr("timestamp_token_id is the number 152064"));
  EXPECT_EQ(parse_model_config(official()).timestamp_token_id, -1);
}

TEST(ModelConfig, TyingFollowsTheLayout) {
  const auto tied = [](const CheckpointFiles& files, const std::function<void(json&)>& edit) {
    return parse_model_config(with_json(files, "config.json", edit)).text.tied_head;
  };
  EXPECT_FALSE(tied(official(), [](json& c) { c["thinker_config"]["text_config"]["tie_word_embeddings"] = false; }));
  EXPECT_FALSE(tied(transformers(), [](json& c) { c["tie_word_embeddings"] = false; }));
  EXPECT_TRUE(tied(transformers(), [](json& c) { c.erase("tie_word_embeddings"); }));  // falls back on text_config
  EXPECT_THAT(edit_error([](json& thinker) { thinker["text_config"].erase("tie_word_embeddings"); }),
              HasSubstr("text_config.tie_word_embeddings is missing"));
}

TEST(ModelConfig, EveryRequiredKeyIsMissedByName) {
  for (const char* key : {"num_mel_bins", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "d_model",
                          "output_dim", "downsample_hidden_size", "n_window", "n_window_infer"}) {
    EXPECT_THAT(edit_error([&](json& thinker) { thinker["audio_config"].erase(key); }),
                HasSubstr(std::string("thinker_config.audio_config.") + key + " is missing, expected an integer"));
  }
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                          "num_key_value_heads", "head_dim", "rms_norm_eps", "rope_theta", "max_position_embeddings"}) {
    EXPECT_THAT(edit_error([&](json& thinker) { thinker["text_config"].erase(key); }),
                HasSubstr(std::string("thinker_config.text_config.") + key + " is missing"));
  }
  for (const char* key : {"audio_config", "text_config", "audio_token_id"}) {
    EXPECT_THAT(edit_error([&](json& thinker) { thinker.erase(key); }),
                HasSubstr(std::string("thinker_config.") + key + " is missing"));
  }
}

TEST(ModelConfig, ValuesOfTheWrongTypeOrBeyondReason) {
  const auto d_model_error = [](const json& value) {
    return edit_error([&](json& thinker) { thinker["audio_config"]["d_model"] = value; });
  };
  EXPECT_THAT(d_model_error("896"), HasSubstr("d_model is the string \"896\", expected an integer from 4 to 1048576"));
  EXPECT_THAT(d_model_error(896.5), HasSubstr("d_model is the number 896.5"));
  EXPECT_THAT(d_model_error(0), HasSubstr("d_model is the number 0"));
  EXPECT_THAT(d_model_error(-896), HasSubstr("d_model is the number -896"));
  EXPECT_THAT(d_model_error(1LL << 40), HasSubstr("d_model is the number 1099511627776"));
  EXPECT_THAT(d_model_error(18446744073709551615ULL), HasSubstr("d_model is the number 18446744073709551615"));
  EXPECT_THAT(d_model_error(true), HasSubstr("d_model is the boolean true"));
  EXPECT_THAT(d_model_error(json::array({896})), HasSubstr("d_model is an array"));
  EXPECT_THAT(d_model_error(nullptr), HasSubstr("d_model is missing"));
  EXPECT_THAT(edit_error([](json& thinker) { thinker["text_config"]["num_hidden_layers"] = 2000; }),
              HasSubstr("1 to 1024"));
  EXPECT_THAT(edit_error([](json& thinker) { thinker["text_config"]["rms_norm_eps"] = 0; }), HasSubstr("rms_norm_eps"));
  EXPECT_THAT(edit_error([](json& thinker) { thinker["text_config"]["rope_theta"] = "1e6"; }), HasSubstr("rope_theta"));
  EXPECT_THAT(edit_error([](json& thinker) { thinker["audio_token_id"] = 151936; }), HasSubstr("from 0 to 151935"));
  EXPECT_THAT(edit_error([](json& thinker) { thinker["audio_config"] = 7; }),
              HasSubstr("audio_config is the number 7"));
  EXPECT_THAT(edit_error([](json& thinker) { thinker = "x"; }), HasSubstr("thinker_config is the string \"x\""));
}

TEST(ModelConfig, SizesThatContradictEachOther) {
  EXPECT_THAT(edit_error([](json& thinker) { thinker["audio_config"]["encoder_attention_heads"] = 15; }),
              HasSubstr("d_model is 896, expected an even multiple of the 15 attention heads"));
  EXPECT_THAT(edit_error([](json& thinker) { thinker["text_config"]["num_key_value_heads"] = 3; }),
              HasSubstr("num_attention_heads is 16, expected a multiple of num_key_value_heads = 3"));
  EXPECT_THAT(edit_error([](json& thinker) { thinker["text_config"]["head_dim"] = 127; }), HasSubstr("an even number"));
  EXPECT_THAT(edit_error([](json& thinker) { thinker["text_config"]["head_dim"] = 1 << 20; }), HasSubstr("16 heads"));
  EXPECT_THAT(edit_error([](json& thinker) { thinker["audio_config"]["output_dim"] = 2048; }),
              HasSubstr("output_dim is 2048, expected the decoder's hidden_size 1024"));
  EXPECT_THAT(edit_error([](json& thinker) { thinker["audio_config"]["n_window_infer"] = 850; }),
              HasSubstr("a multiple of 2 * n_window = 100"));
}

TEST(ModelConfig, VariantsTheEngineDoesNotCompute) {
  EXPECT_THAT(edit_error([](json& thinker) { thinker["audio_config"]["activation_function"] = "relu"; }),
              HasSubstr("activation_function is \"relu\", expected \"gelu\""));
  EXPECT_THAT(edit_error([](json& thinker) { thinker["audio_config"]["scale_embedding"] = true; }),
              HasSubstr("scale_embedding"));
  EXPECT_THAT(edit_error([](json& thinker) { thinker["text_config"]["hidden_act"] = "gelu"; }),
              HasSubstr("hidden_act"));
  EXPECT_THAT(edit_error([](json& thinker) { thinker["text_config"]["attention_bias"] = true; }),
              HasSubstr("attention_bias"));
  EXPECT_THAT(edit_error([](json& thinker) { thinker["text_config"]["use_sliding_window"] = true; }),
              HasSubstr("use_sliding_window"));
  EXPECT_THAT(edit_error([](json& thinker) {
                thinker["text_config"]["rope_scaling"] = {{"rope_type", "yarn"}};
              }),
              HasSubstr("rope_scaling.rope_type is \"yarn\""));
}

TEST(ModelConfig, EndOfSequenceIdsThatAreWrong) {
  const auto error_for = [](const char* generation) {
    const CheckpointFiles files = with_file(official(), "generation_config.json", generation);
    const std::string message = model_error([&] { parse_model_config(files); });
    EXPECT_THAT(message, HasSubstr("DIR/generation_config.json"));
    return message;
  };
  EXPECT_THAT(error_for(R"({"eos_token_id": "x"})"), HasSubstr("eos_token_id is the string \"x\", expected token ids"));
  EXPECT_THAT(error_for(R"({"eos_token_id": [1, 151936]})"), HasSubstr("from 0 to 151935"));
  EXPECT_THAT(error_for(R"({"eos_token_id": -1})"), HasSubstr("the number -1"));
  EXPECT_THAT(error_for(R"({"eos_token_id": []})"), HasSubstr("an empty array"));
  EXPECT_THAT(error_for("{"), HasSubstr("broken JSON"));
}

TEST(ModelConfig, BrokenJsonSaysWhere) {
  const auto error_for = [](const std::string& text) {
    const CheckpointFiles files = with_file(official(), "config.json", text);
    return model_error([&] { parse_model_config(files); });
  };
  EXPECT_THAT(error_for(""), AllOf(HasSubstr("DIR/config.json"), HasSubstr("empty")));
  EXPECT_THAT(error_for("{\n  \"thinker_config\": {,}\n}"),
              AllOf(HasSubstr("DIR/config.json"), HasSubstr("line 2, column 22")));
  EXPECT_THAT(error_for("[]"), HasSubstr("the top level is an array"));
  EXPECT_THAT(error_for("{\"a\": 1, \"a\": 2}"), HasSubstr("\"a\" appears twice"));
  EXPECT_THAT(error_for("{}"), HasSubstr("audio_config is missing"));
  const CheckpointFiles none = with_file(official(), "config.json", {});
  EXPECT_THAT(model_error([&] { parse_model_config(none); }), HasSubstr("config.json not found in DIR"));
}

}  // namespace
}  // namespace qasr
