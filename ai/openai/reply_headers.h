// SPDX-License-Identifier: GPL-2.0-or-later
// Collects the headers of one answer.
#pragma once

#include "ai/openai/api.h"

namespace ai::openai {

// The destination of an answer, and the web page that may read it: the result of
// Guard::allowed_origin().
struct ReplyTo {
  Reply& reply;
  std::string_view origin;
};

// Views of headers, and room for the numbers among them. Headers that do not fit are dropped; the
// necessary ones are added first.
class ReplyHeaders {
 public:
  ReplyHeaders(Backend& backend, std::string_view origin) {
    add("X-Request-ID", base::format_into(id_, "req_{:016x}", backend.random()));
    add("Cache-Control", "no-store");
    if (origin.empty()) return;
    add("Access-Control-Allow-Origin", origin);
    add("Access-Control-Expose-Headers",
        "X-Request-ID, Retry-After, retry-after-ms, x-marrow-context");
    add("Vary", "Origin");
    // Not for "*": behind a proxy that knows people by a cookie, every page could use theirs.
    if (origin != "*") add("Access-Control-Allow-Credentials", "true");
  }
  ReplyHeaders(const ReplyHeaders&) = delete;
  ReplyHeaders& operator=(const ReplyHeaders&) = delete;

  void add(std::string_view name, std::string_view value) {
    static_cast<void>(list_.push_back({name, value}));
  }
  void add(std::span<const base::HttpHeader> more) {
    for (const base::HttpHeader& h : more) add(h.name, h.value);
  }
  void add_retry(u32 after_ms) {
    add("retry-after-ms", base::format_into(retry_ms_, "{}", after_ms));
    add("Retry-After", base::format_into(retry_, "{}", (after_ms + 999) / 1000));
  }
  void add_context(u32 tokens) {
    add("x-marrow-context", base::format_into(context_, "{}", tokens));
  }
  std::span<const base::HttpHeader> view() const { return list_.view(); }

 private:
  StaticVector<base::HttpHeader, 16> list_;
  char id_[40], retry_ms_[24], retry_[24], context_[16];
};

}  // namespace ai::openai
