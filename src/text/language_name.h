// Spelling of language names as the model was trained with them.
#pragma once

#include <string>
#include <string_view>

namespace qasr {

/// Without outer white space, the first character in upper case, the others in lower case: " ENGLISH " -> "English".
/// Any name is accepted; whether the model knows it is find_language's business.
std::string normalize_language_name(std::string_view name);

/// The canonical name of a language given by name or code; "" for "auto" and "".
/// @throws Error kInvalidArgument  unknown; the message lists the known ones
std::string resolve_language(std::string_view language);

}  // namespace qasr
