// SPDX-License-Identifier: GPL-2.0-or-later
// Writes errors as JSON.
#include "ai/openai/error.h"

namespace ai::openai {

void ApiError::take(const Error& error) {
  if (!message.empty()) return;
  switch (error.code) {
    case Errc::kOutOfMemory:
      (void)refuse(503, "server_error", "out_of_memory", "the server is out of memory");
      retry_after_ms = 2000;
      break;
    case Errc::kFull:
      (void)refuse(429, "rate_limit_error", "server_busy", "the queue is full: {}", error.what);
      retry_after_ms = 1000;
      break;
    case Errc::kBusy:
      (void)refuse(503, "unavailable_error", "model_not_ready", "{}", error.what);
      retry_after_ms = 1000;
      break;
    case Errc::kContextFull:
      (void)refuse(400, "invalid_request_error", "context_length_exceeded", "{}", error.what);
      break;
    case Errc::kUnsupported:
      (void)refuse(400, "invalid_request_error", "unsupported", "{}", error.what);
      break;
    case Errc::kNotFound:
      (void)refuse(404, "invalid_request_error", "not_found", "{}", error.what);
      break;
    default:
      (void)refuse(error.code == Errc::kIo ? 500 : 400,
                   error.code == Errc::kIo ? "server_error" : "invalid_request_error", nullptr,
                   "{}", error.what);
      break;
  }
}

namespace {

// llama-server's words for what went wrong.
const char* llama_type(const ApiError& error) {
  if (error.context > 0) return "exceed_context_size_error";
  switch (error.status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 501:
      return "not_supported_error";
    case 503:
      return "unavailable_error";
    default:
      return error.type;
  }
}

void write_code(ErrorForm form, const ApiError& error, json::Writer& w) {
  bool number = form == ErrorForm::kLlama;  // and then our word for it has another name
  if (number) w.field("code", error.status);
  std::string_view name = number ? "reason" : "code";
  if (error.code == nullptr)
    w.field_null(name);
  else
    w.field(name, error.code);
}

}  // namespace

void write_error(const ApiError& error, ErrorForm form, base::Writer& out) {
  json::Writer w(out);
  w.begin_object();
  if (form == ErrorForm::kOllama) {
    w.field("error", error.message).end_object();
    return;
  }
  if (form == ErrorForm::kAnthropic) {
    const char* type = error.status == 401   ? "authentication_error"
                       : error.status == 403 ? "permission_error"
                       : error.status == 404 ? "not_found_error"
                       : error.status == 413 ? "request_too_large"
                       : error.status == 429 ? "rate_limit_error"
                       : error.status == 503 ? "overloaded_error"
                       : error.status >= 500 ? "api_error"
                                             : "invalid_request_error";
    w.field("type", "error").key("error").begin_object();
    w.field("type", type).field("message", error.message);
    w.end_object().end_object();
    return;
  }
  w.key("error").begin_object();
  w.field("message", error.message);
  w.field("type", form == ErrorForm::kLlama ? llama_type(error) : error.type);
  if (error.param.empty())
    w.field_null("param");
  else
    w.field("param", error.param);
  write_code(form, error, w);
  if (error.context > 0) {
    w.field("n_prompt_tokens", error.prompt_tokens).field("n_ctx", error.context);
  }
  w.end_object().end_object();
}

}  // namespace ai::openai
