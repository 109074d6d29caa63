// SPDX-License-Identifier: GPL-2.0-or-later
// The life of a connection: reading, answering, keeping alive, closing.
#include "kernel/net/http_connection.h"

#include <algorithm>

#include "kernel/base/format.h"

namespace net {
namespace {

struct Reason {
  int status;
  std::string_view text;
};
constexpr Reason kReasons[] = {{200, "OK"},
                               {204, "No Content"},
                               {400, "Bad Request"},
                               {401, "Unauthorized"},
                               {403, "Forbidden"},
                               {404, "Not Found"},
                               {405, "Method Not Allowed"},
                               {408, "Request Timeout"},
                               {411, "Length Required"},
                               {413, "Content Too Large"},
                               {414, "URI Too Long"},
                               {417, "Expectation Failed"},
                               {422, "Unprocessable Content"},
                               {429, "Too Many Requests"},
                               {431, "Request Header Fields Too Large"},
                               {500, "Internal Server Error"},
                               {501, "Not Implemented"},
                               {503, "Service Unavailable"},
                               {505, "HTTP Version Not Supported"},
                               {507, "Insufficient Storage"}};

// The header goes out as it came in from our own code; a line break in it would be a second one.
bool clean(std::string_view value) {
  return value.find_first_of("\r\n") == std::string_view::npos;
}

}  // namespace

std::string_view http_reason(int status) {
  for (const Reason& r : kReasons)
    if (r.status == status) return r.text;
  return "Status";
}

// ---- from the peer --------------------------------------------------------------------------

void HttpConnection::receive(std::string_view bytes, u64 now_ns) {
  now_ns_ = now_ns;
  if (lingering_ || finished_ || closing_) return;
  if (waiting_.empty() && phase_ == Phase::kReading && parser_.state() == HttpParser::State::kIdle)
    since_ns_ = now_ns;  // the head's time starts with its first byte
  if (!waiting_.append(std::span(bytes.data(), bytes.size())).has_value()) return fail_connection();
  parse_more();
}

bool HttpConnection::wants_bytes() const {
  if (finished_ || peer_closed_) return false;
  return lingering_ || waiting_.size() < kMaxPipelined;
}

void HttpConnection::parse_more() {
  // The handler may answer at once, which comes back here: one loop serves both.
  if (parsing_) return;
  parsing_ = true;
  usize used = 0;
  while (phase_ == Phase::kReading && used < waiting_.size() && !closing_) {
    used += parser_.feed({waiting_.data() + used, waiting_.size() - used});
    if (parser_.state() == HttpParser::State::kFailed) {
      phase_ = Phase::kWaiting;
      close_after_ = true;
      http_1_0_ = head_only_ = false;
      handler_.on_bad_request(*this, parser_.status(), parser_.problem());
    } else if (parser_.state() == HttpParser::State::kComplete) {
      HttpRequest request = parser_.request();
      phase_ = Phase::kWaiting;
      http_1_0_ = request.http_1_0;
      head_only_ = request.method == "HEAD";
      close_after_ = !request.keep_alive;
      handler_.on_request(*this, request);
    } else if (parser_.awaits_continue() && !continue_sent_) {
      continue_sent_ = true;
      put("HTTP/1.1 100 Continue\r\n\r\n");
    }
  }
  usize left = waiting_.size() - used;
  if (left > 0 && used > 0) std::copy_n(waiting_.begin() + used, left, waiting_.begin());
  waiting_.truncate(left);
  body_bytes_ += used;
  parsing_ = false;
}

void HttpConnection::peer_closed() {
  peer_closed_ = true;
  // A client of HTTP/1.0 may end its side and still read; later ones that do have gone.
  if (phase_ != Phase::kReading && http_1_0_) return;
  if (phase_ == Phase::kReading && !output().empty() && !lingering_) {
    closing_ = true;
    return;
  }
  peer_lost();
}

void HttpConnection::peer_lost() {
  if (finished_) return;
  finished_ = true;
  if (phase_ == Phase::kReading) return;
  phase_ = Phase::kReading;
  handler_.on_gone(*this);
}

void HttpConnection::fail_connection() {
  peer_lost();
}

void HttpConnection::sent(usize bytes, u64 now_ns) {
  now_ns_ = write_since_ns_ = now_ns;
  out_sent_ += bytes;
  if (out_sent_ == out_.size()) {
    out_sent_ = 0;
    if (out_.capacity() > 256 * 1024 && phase_ == Phase::kReading) out_ = {};
    out_.clear();
  } else if (out_sent_ > 64 * 1024) {
    usize left = out_.size() - out_sent_;
    std::copy_n(out_.begin() + out_sent_, left, out_.begin());
    out_.truncate(left);
    out_sent_ = 0;
  }
  if (closing_ && output().empty()) {
    lingering_ = true;
    since_ns_ = now_ns;
    if (peer_closed_) finished_ = true;
  }
}

void HttpConnection::tick(u64 now_ns) {
  now_ns_ = now_ns;
  if (finished_) return;
  u64 waited = now_ns - std::min(now_ns, since_ns_);
  if (lingering_) {
    finished_ = waited > times_.linger_ns;
    return;
  }
  if (!output().empty() && now_ns - std::min(now_ns, write_since_ns_) > times_.write_ns)
    return peer_lost();
  if (phase_ != Phase::kReading || closing_) return;
  HttpParser::State state = parser_.state();
  if (state == HttpParser::State::kIdle) {
    finished_ = waited > times_.idle_ns && output().empty();
    return;
  }
  // A slow body earns more time with every 64 KiB, and must move at all.
  if (state == HttpParser::State::kBody && body_bytes_ - body_mark_ >= 64 * 1024) {
    body_mark_ = body_bytes_;
    since_ns_ = now_ns;
    return;
  }
  if (waited <= (state == HttpParser::State::kBody ? times_.body_ns : times_.head_ns)) return;
  phase_ = Phase::kWaiting;
  close_after_ = true;
  http_1_0_ = head_only_ = false;
  handler_.on_bad_request(*this, 408, "the request did not arrive in time");
}

// ---- from the handler -----------------------------------------------------------------------

void HttpConnection::put(std::string_view text) {
  if (output().empty()) write_since_ns_ = now_ns_;
  if (!out_.append(std::span(text.data(), text.size())).has_value()) fail_connection();
}

void HttpConnection::head(int status, std::string_view type, std::span<const HttpHeader> headers) {
  char line[256];
  body_allowed_ = status != 204 && !head_only_;
  put(base::format_into(line, "HTTP/1.{} {} {}\r\n", http_1_0_ ? 0 : 1, status,
                        http_reason(status)));
  if (!type.empty()) put(base::format_into(line, "Content-Type: {}\r\n", type));
  put("X-Content-Type-Options: nosniff\r\n");
  for (const HttpHeader& h : headers) {
    if (!clean(h.name) || !clean(h.value)) continue;
    put(h.name);
    put(": ");
    put(h.value);
    put("\r\n");
  }
  if (close_after_)
    put("Connection: close\r\n");
  else if (http_1_0_)
    put("Connection: keep-alive\r\n");
}

void HttpConnection::respond(int status, std::string_view type, std::string_view body,
                             std::span<const HttpHeader> headers) {
  if (phase_ != Phase::kWaiting) return;
  head(status, type, headers);
  char line[64];
  if (status != 204) put(base::format_into(line, "Content-Length: {}\r\n", body.size()));
  put("\r\n");
  if (body_allowed_) put(body);
  response_done();
}

void HttpConnection::begin_stream(int status, std::string_view type,
                                  std::span<const HttpHeader> headers) {
  if (phase_ != Phase::kWaiting) return;
  phase_ = Phase::kStreaming;
  chunked_ = !http_1_0_;
  if (!chunked_) close_after_ = true;
  head(status, type, headers);
  put(chunked_ ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
}

void HttpConnection::send(std::string_view text) {
  if (phase_ != Phase::kStreaming || text.empty() || !body_allowed_) return;
  if (output().size() + text.size() > kMaxBacklog) return fail_connection();
  char line[24];
  if (chunked_) put(base::format_into(line, "{:x}\r\n", text.size()));
  put(text);
  if (chunked_) put("\r\n");
}

void HttpConnection::end_stream() {
  if (phase_ != Phase::kStreaming) return;
  if (chunked_ && body_allowed_) put("0\r\n\r\n");
  response_done();
}

void HttpConnection::response_done() {
  if (finished_) return;
  phase_ = Phase::kReading;
  since_ns_ = now_ns_;
  body_bytes_ = body_mark_ = 0;
  continue_sent_ = false;
  if (close_after_) {
    closing_ = true;
    return;
  }
  parser_.reset();
  parse_more();
}

}  // namespace net
