// `qasr download`: a model from a hub into the cache. Files arrive side by side in NAME.partial, which survives a kill
// at any byte; a file is whole when its size and SHA-256 are the hub's, the directory when all are, and then it gets
// its name.
#include "download.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "hub.h"
#include "model_cache.h"
#include "output.h"
#include "download_progress.h"
#include "qasr/error.h"
#include "sha256.h"

namespace qasr::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultEndpoint = "https://huggingface.co";
constexpr std::string_view kIncomplete = ".incomplete";
constexpr std::uint64_t kSpareBytes = 64 << 20;  // left free on the disk

constexpr const char* kDownloadExamples =
    "Examples:\n"
    "  qasr download 0.6b\n"
    "  qasr download Qwen/Qwen3-ASR-1.7B-hf\n"
    "  qasr download --endpoint https://mirror.example 1.7b\n"
    "  qasr transcribe --model 0.6b interview.m4a\n"
    "Environment: HF_ENDPOINT (where from), HF_TOKEN (for gated and private models), XDG_CACHE_HOME (where to).\n";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// A file descriptor, closed with the object.
class File {
 public:
  File(const fs::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {
    if (fd_ < 0) download_error("cannot open " + path.string() + ": " + std::strerror(errno));
  }
  ~File() { ::close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// One process downloads a model at a time.
class DirectoryLock {
 public:
  explicit DirectoryLock(const fs::path& directory) : file_(directory / ".lock", O_RDWR | O_CREAT) {
    if (::flock(file_.fd(), LOCK_EX | LOCK_NB) != 0) {
      download_error("another process is downloading into " + directory.string());
    }
  }

 private:
  File file_;
};

std::uint64_t size_of(const fs::path& path) {
  std::error_code missing;
  const std::uintmax_t size = fs::file_size(path, missing);
  return missing ? 0 : size;
}

std::string hash_of(const fs::path& path) {
  Sha256 hash;
  const File file(path, O_RDONLY);
  std::vector<std::byte> buffer(1 << 20);
  for (;;) {
    const ssize_t n_bytes = ::read(file.fd(), buffer.data(), buffer.size());
    if (n_bytes < 0) download_error("cannot read " + path.string() + ": " + std::strerror(errno));
    if (n_bytes == 0) return hash.finish();
    hash.add({buffer.data(), static_cast<std::size_t>(n_bytes)});
  }
}

class Download {
 public:
  Download(const HubModel& model, std::vector<HubFile> files, HubOptions options, fs::path directory,
           DownloadProgress& progress)
      : model_(model),
        files_(std::move(files)),
        options_(std::move(options)),
        directory_(std::move(directory)),
        progress_(progress) {}

  std::uint64_t missing_bytes() const {
    std::uint64_t missing = 0;
    for (const HubFile& file : files_) missing += file.bytes - std::min(file.bytes, present(file));
    return missing;
  }
  std::uint64_t present_bytes() const {
    std::uint64_t bytes = 0;
    for (const HubFile& file : files_) bytes += std::min(file.bytes, present(file));
    return bytes;
  }

  // All files, `n_parallel` at a time. Throws the first error when the others have stopped.
  void run(int n_parallel) {
    std::vector<std::thread> threads;
    for (int i = 0; i < std::min<int>(n_parallel, static_cast<int>(files_.size())); ++i) {
      threads.emplace_back([this] { work(); });
    }
    for (std::thread& thread : threads) thread.join();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  fs::path incomplete(const HubFile& file) const { return directory_ / (file.name + std::string(kIncomplete)); }
  std::uint64_t present(const HubFile& file) const {
    std::error_code missing;
    return fs::exists(directory_ / file.name, missing) ? size_of(directory_ / file.name) : size_of(incomplete(file));
  }

  void work() {
    try {
      HttpClient client;
      for (std::size_t i = next_++; i < files_.size() && !stop_; i = next_++) fetch(client, files_[i]);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!error_) error_ = std::current_exception();
      stop_ = true;
    }
  }

  void fetch(HttpClient& client, const HubFile& file) {
    const fs::path path = incomplete(file);
    if (size_of(directory_ / file.name) == file.bytes && fs::exists(directory_ / file.name))
      return;  // by an earlier run
    if (size_of(path) < file.bytes || file.bytes == 0) {
      with_retries(options_, file.name, [&] { return fetch_rest(client, file, path); });
    }
    check(file, path);
    fs::rename(path, directory_ / file.name);
  }

  // From where the file ends. A server that ignores the range sends all of it again.
  Attempt fetch_rest(HttpClient& client, const HubFile& file, const fs::path& path) {
    const File out(path, O_WRONLY | O_CREAT);
    const std::string url =
        options_.endpoint + "/" + model_.repository + "/resolve/" + model_.revision + "/" + file.name;
    std::uint64_t at = size_of(path);
    std::string failure;
    Attempt attempt;
    attempt.result = client.get(
        {.url = url, .token = options_.token, .from_byte = at, .stall_timeout_s = options_.stall_timeout_s},
        [&](const HttpResult& begun) {
          if (at == 0 || begun.is_rest) return;
          progress_.add(-static_cast<std::int64_t>(at));
          at = 0;
          if (::ftruncate(out.fd(), 0) != 0) failure = std::strerror(errno);
        },
        [&](std::span<const std::byte> bytes) {
          if (at + bytes.size() > file.bytes)
            failure = "more than the " + std::to_string(file.bytes) + " bytes the hub lists";
          for (std::size_t done = 0; failure.empty() && done < bytes.size();) {
            const ssize_t n =
                ::pwrite(out.fd(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(at + done));
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) failure = std::string("cannot write: ") + std::strerror(errno);
            if (n > 0) done += static_cast<std::size_t>(n);
          }
          if (!failure.empty() || stop_) return false;
          at += bytes.size();
          attempt.made_progress = true;
          progress_.add(static_cast<std::int64_t>(bytes.size()));
          return true;
        });
    if (!failure.empty()) download_error(file.name + ": " + failure);
    if (stop_) download_error("stopped");
    if (attempt.result.failure.empty() && attempt.result.status < 300 && at < file.bytes) {
      attempt.result.failure =
          "the body ends after " + std::to_string(at) + " of " + std::to_string(file.bytes) + " bytes";
    }
    return attempt;
  }

  void check(const HubFile& file, const fs::path& path) {
    if (const std::uint64_t bytes = size_of(path); bytes != file.bytes) {
      fs::remove(path);
      download_error(file.name + " has " + std::to_string(bytes) + " bytes, expected " + std::to_string(file.bytes) +
           "; removed");
    }
    if (file.sha256.empty()) return;
    const std::string found = hash_of(path);
    if (found == file.sha256) return;
    fs::remove(path);
    download_error(file.name + " has SHA-256 " + found + ", expected " + file.sha256 + "; removed, download again");
  }

  const HubModel& model_;
  std::vector<HubFile> files_;
  HubOptions options_;
  fs::path directory_;
  DownloadProgress& progress_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::exception_ptr error_;
};

void write_manifest(const fs::path& directory, const HubModel& model, const std::vector<HubFile>& files,
                    const std::string& endpoint) {
  nlohmann::ordered_json manifest = {
      {"repository", model.repository}, {"revision", model.revision}, {"endpoint", endpoint}};
  for (const HubFile& file : files) manifest["files"][file.name] = {{"bytes", file.bytes}, {"sha256", file.sha256}};
  std::ofstream stream(directory / kManifestName);
  stream << manifest.dump(1) << "\n";
  stream.close();
  if (!stream) download_error("cannot write " + (directory / kManifestName).string());
}

// What lies in a partial directory is of one revision: of another one it is dropped.
void claim_revision(const fs::path& partial, const std::string& revision) {
  const fs::path path = partial / ".revision";
  std::ifstream stream(path);
  std::string found;
  stream >> found;
  if (found != revision) {
    for (const fs::directory_entry& entry : fs::directory_iterator(partial)) {
      if (entry.path().filename() != ".lock") fs::remove_all(entry.path());
    }
  }
  std::ofstream(path) << revision << "\n";
}

std::string check_endpoint(std::string endpoint) {
  while (endpoint.ends_with('/')) endpoint.pop_back();
  if (endpoint.starts_with("https://") || endpoint.starts_with("http://")) return endpoint;
  throw Error(ErrorCode::kInvalidArgument, "download: endpoint \"" + endpoint + "\", expected http:// or https://");
}

}  // namespace

CLI::App* add_download(CLI::App& app, DownloadArguments& arguments) {
  CLI::App* command = app.add_subcommand("download", "Fetch a model from Hugging Face or a mirror");
  command->add_option("name", arguments.name, "0.6b, 1.7b, aligner, or OWNER/NAME")->required()->type_name("NAME");
  command->add_option("--endpoint", arguments.endpoint, "Where from; default: HF_ENDPOINT, else https://huggingface.co")
      ->type_name("URL");
  command->add_option("--revision", arguments.revision, "Branch, tag or commit")
      ->capture_default_str()
      ->type_name("NAME");
  command->add_option("--file", arguments.files, "This file only (and configuration, tokenizer); may be repeated")
      ->type_name("NAME");
  command->add_option("--parallel", arguments.n_parallel, "Files at a time")
      ->capture_default_str()
      ->check(CLI::Range(1, 16))
      ->type_name("N");
  command
      ->add_option("--timeout", arguments.stall_timeout_s, "Seconds without a byte after which a connection is dropped")
      ->capture_default_str()
      ->check(CLI::Range(1, 3600))
      ->type_name("S");
  command->add_flag("-q,--quiet", arguments.quiet, "Errors only on standard error");
  command->footer(kDownloadExamples);
  return command;
}

ExitCode run_download(const DownloadArguments& arguments) {
  const std::string repository = repository_of(arguments.name);
  if (repository.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "download: \"" + arguments.name + "\" names no model, expected 0.6b, 1.7b, aligner or OWNER/NAME");
  }
  if (arguments.revision.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
      std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument, "download: revision \"" + arguments.revision + "\" is no name");
  }
  HubOptions options{.endpoint = arguments.endpoint,
                     .token = environment("HF_TOKEN"),
                     .revision = arguments.revision,
                     .stall_timeout_s = arguments.stall_timeout_s};
  if (options.endpoint.empty()) options.endpoint = environment("HF_ENDPOINT");
  if (options.endpoint.empty()) options.endpoint = kDefaultEndpoint;
  options.endpoint = check_endpoint(options.endpoint);
  if (!arguments.quiet) options.log = [](const std::string& line) { print_error(line); };

  const fs::path directory = model_directory(repository), partial = directory.string() + ".partial";
  std::error_code error;
  if (fs::exists(directory / kManifestName, error)) {
    if (!arguments.quiet)
      print_error(repository + " is here already; qasr models --remove " + repository + " removes it");
    print(directory.string() + "\n");
    return kExitOk;
  }
  const HubModel model = list_model(repository, options);
  const std::vector<HubFile> files = needed_files(model, arguments.files);
  fs::create_directories(partial, error);
  if (error) download_error("cannot make " + partial.string() + ": " + error.message());
  const DirectoryLock lock(partial);
  claim_revision(partial, model.revision);
  DownloadProgress progress(!arguments.quiet);
  Download download(model, files, options, partial, progress);
  const fs::space_info space = fs::space(partial, error);
  if (!error && download.missing_bytes() + kSpareBytes > space.available) {
    download_error("needs " + std::to_string(download.missing_bytes() >> 20) + " MiB in " + partial.string() + ", where " +
         std::to_string(space.available >> 20) + " MiB are free");
  }
  progress.start(download.present_bytes(), download.present_bytes() + download.missing_bytes());
  download.run(arguments.n_parallel);
  progress.finish();
  write_manifest(partial, model, files, options.endpoint);
  fs::remove(partial / ".revision", error);
  fs::remove_all(directory, error);  // what is there has no manifest
  fs::rename(partial, directory, error);
  if (error) download_error("cannot rename " + partial.string() + ": " + error.message());
  fs::remove(directory / ".lock", error);
  print(directory.string() + "\n");
  return kExitOk;
}

}  // namespace qasr::app
