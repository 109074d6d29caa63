// SPDX-License-Identifier: GPL-2.0-or-later
// Errors as API clients expect them: a status, a sentence, and the parameter that was wrong.
#pragma once

#include "kernel/base/json.h"

namespace ai::openai {

struct ApiError {
  int status = 400;
  const char* type = "invalid_request_error";
  const char* code = nullptr;
  u64 prompt_tokens = 0, context = 0;  // for context_length_exceeded
  u32 retry_after_ms = 0;
  bool wants_key = false;       // the answer says how to send a key
  std::string_view allow = {};  // the allowed methods, for status 405
  char param_text[96] = {};
  char message_text[320] = {};
  std::string_view param, message;

  ApiError() = default;
  ApiError(const ApiError&) = delete;
  ApiError& operator=(const ApiError&) = delete;

  // Fills in the fields and returns the error as a Result: return error.bad("n", "…").
  template <class... Args>
  std::unexpected<Error> bad(std::string_view about, std::string_view format, const Args&... args) {
    param = base::format_into(param_text, "{}", about);
    message = base::format_into(message_text, format, args...);
    return fail(Errc::kInvalidArgument, "bad request");
  }
  template <class... Args>
  std::unexpected<Error> refuse(int new_status, const char* new_type, const char* new_code,
                                std::string_view format, const Args&... args) {
    status = new_status;
    type = new_type;
    code = new_code;
    return bad({}, format, args...);
  }
  // For a TRY of something that has only its Error, such as out of memory.
  void take(const Error& error);
};

// The forms of errors. Each path has that of the server from which its clients know it.
enum class ErrorForm : u8 { kOpenAi, kLlama, kAnthropic, kOllama };
constexpr usize kMaxErrorText = 3072;  // what write_error() makes at most
void write_error(const ApiError& error, ErrorForm form, base::Writer& out);

}  // namespace ai::openai
