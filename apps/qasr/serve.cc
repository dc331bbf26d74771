#include "serve.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

#include "demo_model.h"
#include "model_cache.h"
#include "option_values.h"
#include "output.h"
#include "server/api_keys.h"
#include "server/server.h"
#include "word_options.h"

namespace qasr::app {
namespace {

constexpr const char* kNetwork = "Network";
constexpr const char* kLimits = "Limits";
constexpr const char* kAccess = "Access";
constexpr const char* kModels = "Model and machine";
constexpr const char* kFooter =
    "Examples:\n"
    "  qasr serve\n"
    "  qasr serve --model 0.6b --alias whisper-1=Qwen3-ASR-0.6B --host 0.0.0.0 --api-keys keys.txt\n"
    "  qasr serve --new-key alice >> keys.txt\n"
    "  curl http://127.0.0.1:8000/v1/audio/transcriptions -F file=@talk.mp3 -F model=demo-en\n"
    "\n"
    "Every option may also be a line of the configuration file (max-upload = 100) or a variable of the environment\n"
    "(QASR_MAX_UPLOAD=100); the command line goes first, then the environment, then the file. Lists are separated by\n"
    "commas. Signals: SIGTERM finishes what is under way and ends, SIGHUP reads the API keys again. docs/server.md "
    "has\n"
    "the protocol, a systemd unit and more.\n";

std::string environment_name(const std::string& option) {
  std::string name = "QASR_" + option;
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

/// NAME=VALUE -> both; nothing before the first '=' if there is none.
std::pair<std::string, std::string> split_pair(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) return {"", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void add_network_options(CLI::App& command, ServeArguments& arguments) {
  command.add_option("--host", arguments.host, "Address to listen on; 0.0.0.0 or :: is all")->group(kNetwork);
  command.add_option("--port", arguments.port, "Port; 0 is any free one")->check(CLI::Range(0, 65535))->group(kNetwork);
  command.add_option("--tls-cert", arguments.tls_cert, "Certificate chain (PEM): https and wss")
      ->type_name("FILE")
      ->group(kNetwork);
  command.add_option("--tls-key", arguments.tls_key, "Its private key (PEM)")->type_name("FILE")->group(kNetwork);
  command.add_option("--max-connections", arguments.max_connections, "Open at a time")
      ->check(CLI::Range(1, 1000000))
      ->group(kNetwork);
  command.add_option("--idle-timeout", arguments.idle_timeout_s, "Seconds to wait for a request's head")
      ->check(CLI::PositiveNumber)
      ->group(kNetwork);
  command.add_option("--body-timeout", arguments.body_timeout_s, "Seconds without a byte of an upload")
      ->check(CLI::PositiveNumber)
      ->group(kNetwork);
}

void add_limit_options(CLI::App& command, ServeArguments& arguments) {
  command.add_option("--max-upload", arguments.max_upload_mb, "Largest recording in MiB")
      ->check(CLI::PositiveNumber)
      ->group(kLimits);
  command.add_option("--max-audio", arguments.max_audio_s, "Longest recording in seconds")
      ->check(CLI::PositiveNumber)
      ->group(kLimits);
  command.add_option("--workers", arguments.workers, "Uploads that are transcribed at a time")
      ->check(CLI::Range(1, 1024))
      ->group(kLimits);
  command.add_option("--max-queue", arguments.max_queue, "Uploads that wait; more are answered with 429")
      ->check(CLI::Range(0, 100000))
      ->group(kLimits);
  command.add_option("--timeout", arguments.timeout_s, "Seconds a transcription may take, waiting included")
      ->check(CLI::PositiveNumber)
      ->group(kLimits);
  command.add_option("--drain-timeout", arguments.drain_timeout_s, "Seconds to finish work after SIGTERM")
      ->check(CLI::NonNegativeNumber)
      ->group(kLimits);
  command.add_option("--max-realtime", arguments.max_realtime, "Realtime sessions at a time")
      ->check(CLI::Range(0, 100000))
      ->group(kLimits);
  command.add_option("--realtime-idle", arguments.realtime_idle_s, "Seconds without a message that end a session")
      ->check(CLI::PositiveNumber)
      ->group(kLimits);
  command.add_option("--realtime-max", arguments.realtime_max_s, "Longest session in seconds")
      ->check(CLI::PositiveNumber)
      ->group(kLimits);
}

void add_access_options(CLI::App& command, ServeArguments& arguments) {
  command.add_option("--api-keys", arguments.api_keys, "File of hashed keys; without it everybody may use the server")
      ->type_name("FILE")
      ->group(kAccess);
  command
      .add_option("--new-key", arguments.new_key,
                  "Make a key: its line for the file on standard output, itself on "
                  "standard error; then end")
      ->type_name("NAME")
      ->group(kAccess);
  command.add_option("--cors", arguments.cors, "Origin whose pages may use the server (https://example.org), or *")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("ORIGIN")
      ->group(kAccess);
  command.add_option("--access-log", arguments.access_log, "A JSON line per answer; - is standard error, '' none")
      ->type_name("FILE")
      ->group(kAccess);
}

void add_model_options(CLI::App& command, ServeArguments& arguments) {
  add_machine_options(command, arguments.machine);
  command.remove_option(command.get_option("--model"));  // there it is one
  command
      .add_option("-m,--model", arguments.models,
                  "A model, or NAME=MODEL; several. A directory, a safetensors or GGUF file, or a downloaded model; "
                  "default: the demonstration model")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("MODEL")
      ->group(kModels);
  add_word_options(command, arguments.machine);
  command.remove_option(command.get_option("--words"));  // requests ask for them
  command.get_option("--aligner")
      ->description("A forced aligner for word times of all models; default: none, the built-in one for the "
                    "demonstration model")
      ->group(kModels);
  command.add_option("--alias", arguments.aliases, "Another name of a model, ALIAS=NAME; several")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("ALIAS=NAME")
      ->group(kModels);
}

void read_config(CLI::App& command, const std::string& path) {
  std::ifstream file(path);
  if (!file) refuse("--config: cannot read " + path);
  for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_config(file)) {
    if (item.name == "++" || item.name == "--") continue;  // begin and end of a section
    CLI::Option* option = command.get_option_no_throw("--" + item.name);
    if (!item.parents.empty() || option == nullptr || item.name == "config" || item.name == "help") {
      refuse("--config: " + path + " has '" + item.fullname() + "', expected names of options");
    }
    if (option->count() > 0) continue;
    if (option->get_expected_max() == 0) {  // a flag
      option->add_result(option->get_flag_value(item.name, item.inputs.empty() ? "true" : item.inputs[0]));
    } else {
      option->add_result(item.inputs);
    }
    option->run_callback();
  }
}

std::string name_of(const std::string& model) {
  const std::string repository = repository_of(model);
  const std::string& path = repository.empty() || std::filesystem::exists(model) ? model : repository;
  std::filesystem::path name = std::filesystem::path(path).lexically_normal();
  if (!name.has_filename()) name = name.parent_path();
  return name.filename().string();
}

std::vector<server::ServedModel> open_models(const ServeArguments& arguments) {
  const EngineOptions options = engine_options(arguments.machine);
  std::vector<server::ServedModel> models;
  if (arguments.models.empty()) {
    std::fputs(demo_model_notice().c_str(), stderr);
    models.push_back({kDemoModelName, Engine::open(demo_model_files(), kDemoModelName, options)});
    return models;
  }
  std::set<std::string> names;
  for (const std::string& argument : arguments.models) {
    auto [name, model] = split_pair(argument);
    if (name.empty()) name = name_of(model);
    if (!names.insert(name).second) refuse("--model: the name " + name + " is there twice; NAME=MODEL gives another");
    const bool demo = model == kDemoModelName && !std::filesystem::exists(model);
    models.push_back({name, demo ? Engine::open(demo_model_files(), kDemoModelName, options)
                                 : Engine::open(resolve_model(model), options)});
  }
  return models;
}

server::ServerOptions server_options(const ServeArguments& arguments) {
  server::ServerOptions options;
  options.app.models = open_models(arguments);
  const bool has_built_in = arguments.models.empty() && !demo_aligner_files().empty();
  if (has_built_in || wants_words(arguments.machine)) options.app.aligner = open_aligner(arguments.machine);
  for (const std::string& argument : arguments.aliases) {
    const auto [alias, name] = split_pair(argument);
    if (alias.empty()) refuse("--alias: found '" + argument + "', expected ALIAS=NAME");
    options.app.aliases[alias] = name;
  }
  options.app.max_upload_bytes = static_cast<std::uint64_t>(arguments.max_upload_mb * (1 << 20));
  options.app.max_audio_s = arguments.max_audio_s;
  options.app.max_queue = static_cast<std::size_t>(arguments.max_queue);
  options.app.n_workers = arguments.workers;
  options.app.timeout_s = arguments.timeout_s;
  options.app.max_realtime = arguments.max_realtime;
  options.app.realtime_idle_s = arguments.realtime_idle_s;
  options.app.realtime_max_s = arguments.realtime_max_s;
  options.app.api_keys = arguments.api_keys;
  options.app.origins = arguments.cors;
  options.app.access_log = arguments.access_log;
  options.network.host = arguments.host;
  options.network.port = arguments.port;
  options.network.tls_cert = arguments.tls_cert;
  options.network.tls_key = arguments.tls_key;
  options.network.max_body_bytes = options.app.max_upload_bytes + (4 << 20);
  options.network.max_connections = arguments.max_connections;
  options.network.idle_timeout_s = arguments.idle_timeout_s;
  options.network.body_timeout_s = arguments.body_timeout_s;
  options.drain_timeout_s = arguments.drain_timeout_s;
  options.log = [](const std::string& line) { print_error(line); };
  return options;
}

ExitCode make_key(const std::string& name) {
  if (name.find_first_of(" \t\r\n#") != std::string::npos) refuse("--new-key: a name has no spaces and no #");
  const std::string key = server::make_key();
  print(server::key_line(name, key) + "\n");
  print_error("the key of " + name + ", which is not kept anywhere: " + key);
  return kExitOk;
}

bool is_loopback(const std::string& host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

}  // namespace

CLI::App* add_serve(CLI::App& app, ServeArguments& arguments) {
  CLI::App* command = app.add_subcommand("serve", "Serve the OpenAI transcription API and a web page");
  command->add_option("--config", arguments.config, "Options from a file, NAME = VALUE a line")->type_name("FILE");
  add_network_options(*command, arguments);
  add_limit_options(*command, arguments);
  add_access_options(*command, arguments);
  add_model_options(*command, arguments);
  for (CLI::Option* option : command->get_options()) {
    if (!option->get_lnames().empty() && option->get_lnames()[0] != "help") {
      option->envname(environment_name(option->get_lnames()[0]));
    }
  }
  command->footer(kFooter);
  command->callback([&arguments, command] {
    if (!arguments.config.empty()) read_config(*command, arguments.config);
  });
  return command;
}

ExitCode run_serve(const ServeArguments& arguments) {
  if (!arguments.new_key.empty()) return make_key(arguments.new_key);
  server::Server server(server_options(arguments));
  const bool tls = !arguments.tls_cert.empty();
  const bool v6 = arguments.host.find(':') != std::string::npos;
  print_error("listening on " + std::string(tls ? "https://" : "http://") +
              (v6 ? "[" + arguments.host + "]" : arguments.host) + ":" + std::to_string(server.port()));
  if (!is_loopback(arguments.host) && arguments.api_keys.empty()) {
    print_error("warning: everybody who reaches this address may use the server; --api-keys restricts it");
  }
  server.run();
  return kExitOk;
}

}  // namespace qasr::app
