#include "server/form.h"

#include "base/utf8.h"
#include "server/api_error.h"

namespace qasr::server {

void FormReader::on_part(const PartHead& head) {
  in_file_ = head.name == "file";
  if (in_file_) {
    if (form_.file) throw ApiError(400, "found two parts named file, expected one recording", "file");
    form_.file.emplace(limits_.max_file_memory_bytes);
    form_.filename = replace_invalid_utf8(head.filename.value_or(""));
    return;
  }
  if (!is_valid_utf8(head.name)) throw ApiError(400, "the name of a field is not UTF-8");
  n_fields_bytes_ += head.name.size();
  form_.fields.push_back({head.name, {}});
}

void FormReader::on_part_data(std::string_view data) {
  if (!in_file_) {
    n_fields_bytes_ += data.size();
    if (n_fields_bytes_ > limits_.max_fields_bytes) {
      throw ApiError(413, "the fields of the form have more than " + std::to_string(limits_.max_fields_bytes) +
                              " bytes together, which is the limit");
    }
    form_.fields.back().value += data;
    return;
  }
  if (form_.file->size() + data.size() > limits_.max_file_bytes) {
    throw ApiError(413,
                   "the recording has more than " + std::to_string(limits_.max_file_bytes) +
                       " bytes, which is the limit of this server (--max-upload)",
                   "file", "file_too_large");
  }
  form_.file->append(data);
}

void FormReader::on_part_end() {
  if (in_file_ || is_valid_utf8(form_.fields.back().value)) return;
  throw ApiError(400, "the field is not UTF-8", form_.fields.back().name);
}

}  // namespace qasr::server
