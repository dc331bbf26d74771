// MultipartParser: the body of a form (multipart/form-data) as it arrives, in pieces of any size.
// Memory: one line of a delimiter and the head of one part. Source: RFC 7578, RFC 2046 section 5.1.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace qasr::server {

struct PartHead {
  std::string name;                     ///< of the field
  std::optional<std::string> filename;  ///< as sent: never a path to open
  std::string content_type;
};

/// Receives parts in order: one on_part, any number of on_part_data, one on_part_end for each.
class PartReceiver {
 public:
  virtual ~PartReceiver() = default;
  virtual void on_part(const PartHead& head) = 0;
  virtual void on_part_data(std::string_view data) = 0;
  virtual void on_part_end() = 0;
};

class MultipartParser {
 public:
  static constexpr std::size_t kMaxHeadBytes = 8 << 10;  ///< of one part
  static constexpr int kMaxParts = 256;

  /// The boundary in a Content-Type; nothing if it is no multipart/form-data or has no valid boundary.
  static std::optional<std::string> boundary_of(std::string_view content_type);

  MultipartParser(const std::string& boundary, PartReceiver& receiver);

  /// @throws ApiError 400, and what the receiver throws; nothing may be fed afterwards
  void feed(std::string_view data);
  /// @throws ApiError 400 if the closing delimiter has not come
  void finish() const;

 private:
  enum class State { kPreamble, kAfterDelimiter, kHead, kData, kEpilogue };
  bool step();
  bool skip_to_delimiter();
  bool read_after_delimiter();
  bool read_head();
  bool read_data();

  const std::string delimiter_;  ///< CR LF - - boundary
  PartReceiver& receiver_;
  State state_ = State::kPreamble;
  std::string buffer_ = "\r\n";  ///< the first delimiter may stand at the very beginning
  int n_parts_ = 0;
};

/// Name and file name of a part from its head (lines that end in CR LF).
/// @throws ApiError 400  no Content-Disposition: form-data with a name
PartHead parse_part_head(std::string_view lines);

}  // namespace qasr::server
