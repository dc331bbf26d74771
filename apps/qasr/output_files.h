// Results in files: names below the output folder, locks against a second run, atomic writing, what is finished
// already.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "input_files.h"
#include "qasr/formats.h"

namespace qasr::app {

/// A result could not be written: full disk, folder not writable, another run at work. The message names the file.
class FileOutputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One file that is being made: locked from construction on, put in its place by commit(), as a whole or not at all.
class OutputFile {
 public:
  /// @throws FileOutputError  the folder cannot be made or written to; another run holds the file
  explicit OutputFile(std::filesystem::path path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Adds to the content; what another run has left of the file is gone.
  /// @throws FileOutputError
  void write(std::string_view content);
  /// Puts the file in its place. Nothing may be written afterwards.
  /// @throws FileOutputError
  void commit();
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  [[noreturn]] void fail(const std::string& what) const;
  void lock();
  void begin();

  std::filesystem::path path_, part_;
  int descriptor_ = -1;
  bool begun_ = false, committed_ = false;
};

/// For each input the path without extension below `folder`. Inputs that would share one (talk.wav, talk.mp3) keep
/// their extension in it.
/// @throws Error kInvalidArgument  two inputs would write the same file all the same
std::vector<std::filesystem::path> output_stems(const std::vector<InputFile>& inputs,
                                                const std::filesystem::path& folder);

/// stem + "." + name of the format.
std::filesystem::path output_path(const std::filesystem::path& stem, OutputFormat format);

/// Whether all formats are there, complete, and not older than the recording.
bool is_finished(const std::filesystem::path& stem, const std::vector<OutputFormat>& formats, const std::string& input);

/// Makes the folder and tries to write in it.
/// @throws FileOutputError
void check_output_folder(const std::filesystem::path& folder);

}  // namespace qasr::app
