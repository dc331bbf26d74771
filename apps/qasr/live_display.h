// LiveDisplay: the text of a stream on a terminal. What is committed stays as it is; the partial behind it is dimmed
// and drawn again and again. Lines are broken here, not by the terminal, so that it is known what must be drawn over.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace qasr::app {

/// Columns that a text takes on a terminal: 2 for wide characters, 0 for combining ones. Ill-formed bytes take 1.
int display_width(std::string_view text);

class LiveDisplay {
 public:
  struct Size {
    int columns = 80, rows = 24;
  };
  /// @param size   asked before everything that is drawn
  /// @param write  takes the bytes for the terminal
  LiveDisplay(std::function<Size()> size, std::function<void(std::string_view)> write);

  void commit(std::string_view text);
  /// Replaces the partial. What does not fit on the screen below the committed text is left out.
  void show_partial(std::string_view text);
  /// Takes the partial away and begins a new line, unless the line is empty.
  void end_line();

 private:
  std::string erase_partial();
  std::string lay_out(std::string_view text, int& column, int& n_lines) const;
  void follow_size();

  std::function<Size()> ask_size_;
  std::function<void(std::string_view)> write_;
  Size size_;
  int column_ = 0;         // behind the committed text
  int partial_lines_ = 0;  // line breaks that the partial takes
  bool has_partial_ = false;
};

}  // namespace qasr::app
