// Form: the fields and the file of an upload; FormReader fills it from a MultipartParser.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/multipart_parser.h"
#include "server/spooled_file.h"

namespace qasr::server {

struct FormField {
  std::string name, value;
};

struct Form {
  std::vector<FormField> fields;  ///< all but the file, in order
  std::optional<SpooledFile> file;
  std::string filename;
};

struct FormLimits {
  std::uint64_t max_file_bytes = 0;
  std::size_t max_file_memory_bytes = 1 << 20;  ///< more goes to a temporary file
  std::size_t max_fields_bytes = 1 << 20;       ///< names and values together
};

class FormReader final : public PartReceiver {
 public:
  explicit FormReader(const FormLimits& limits) : limits_(limits) {}

  // All of them throw ApiError: 400 (two files, a field that is no UTF-8), 413 (a limit).
  void on_part(const PartHead& head) override;
  void on_part_data(std::string_view data) override;
  void on_part_end() override;
  Form take() { return std::move(form_); }

 private:
  const FormLimits limits_;
  Form form_;
  std::size_t n_fields_bytes_ = 0;
  bool in_file_ = false;
};

}  // namespace qasr::server
