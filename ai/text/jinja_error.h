// SPDX-License-Identifier: GPL-2.0-or-later
// Records where and why a template failed, in words for the person who wrote it.
#pragma once

#include <algorithm>

#include "kernel/base/format.h"

namespace ai {

struct TemplateError {
  u32 line = 0, column = 0;  // from 1; the column counts bytes
  char text[192] = {};
  u32 size = 0;
  bool raised = false;  // by the template's own raise_exception()

  std::string_view message() const { return {text, size}; }
};

namespace jinja {

class Reporter {
 public:
  Reporter(std::string_view source, TemplateError& error) : source_(source), error_(error) {}

  // Records the first failure and returns it as an error.
  template <class... Args>
  std::unexpected<Error> fail(u32 offset, std::string_view format, const Args&... args) {
    base::BufferWriter writer(error_.text);
    base::format_to(writer, format, args...);
    error_.size = static_cast<u32>(writer.view().size());
    std::string_view before = source_.substr(0, std::min<usize>(offset, source_.size()));
    error_.line = static_cast<u32>(std::count(before.begin(), before.end(), '\n')) + 1;
    usize line_begin = before.rfind('\n');
    error_.column = static_cast<u32>(before.size() - (line_begin + 1)) + 1;
    return ::fail(Errc::kInvalidArgument, "the chat template failed");
  }
  TemplateError& error() { return error_; }

 private:
  std::string_view source_;
  TemplateError& error_;
};

}  // namespace jinja
}  // namespace ai
