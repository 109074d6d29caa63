// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the life of a connection: reading, answering, keeping alive, closing.
#include "kernel/net/http_connection.h"

#include <algorithm>

#include "kernel/base/format.h"
#include "kernel/base/wipe.h"

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
                               {409, "Conflict"},
                               {411, "Length Required"},
                               {413, "Content Too Large"},
                               {414, "URI Too Long"},
                               {415, "Unsupported Media Type"},
                               {417, "Expectation Failed"},
                               {422, "Unprocessable Content"},
                               {429, "Too Many Requests"},
                               {431, "Request Header Fields Too Large"},
                               {500, "Internal Server Error"},
                               {501, "Not Implemented"},
                               {503, "Service Unavailable"},
                               {505, "HTTP Version Not Supported"},
                               {507, "Insufficient Storage"}};

// A header of our own code is sent as it is, so a line break in it would begin another header.
bool clean(std::string_view value) {
  return value.find_first_of("\r\n") == std::string_view::npos;
}

}  // namespace

std::string_view http_reason(int status) {
  for (const Reason& r : kReasons)
    if (r.status == status) return r.text;
  return "Status";
}

HttpConnection::~HttpConnection() {
  base::wipe(waiting_);
  base::wipe(out_);
}

// ---- from the peer --------------------------------------------------------------------------

void HttpConnection::receive(std::string_view bytes, u64 now_ns) {
  now_ns_ = now_ns;
  if (!lingering_ && !finished_ && !closing_) {
    make_ready();
    if (waiting_.empty() && phase_ == Phase::kReading &&
        parser_.state() == HttpParser::State::kIdle)
      since_ns_ = now_ns;  // the head's time limit starts with its first byte
    if (!waiting_.append(std::span(bytes.data(), bytes.size())).has_value()) break_off();
  }
  static_cast<void>(proceed(now_ns));
}

bool HttpConnection::proceed(u64 now_ns) {
  now_ns_ = now_ns;
  if (parsing_) return false;
  bool parsed = parse_more();
  return tell_gone() || parsed;
}

bool HttpConnection::wants_bytes() const {
  if (finished_ || peer_closed_) return false;
  return lingering_ || waiting_.size() < kMaxPipelined;
}

// The handler may answer inside these calls. response_done() only changes what the next round of
// the loop sees.
bool HttpConnection::parse_more() {
  parsing_ = true;
  usize used = 0;
  while (phase_ == Phase::kReading && used < waiting_.size() && !closing_ && !finished_) {
    make_ready();
    used += parser_.feed({waiting_.data() + used, waiting_.size() - used});
    if (parser_.state() == HttpParser::State::kFailed) {
      refuse(parser_.status(), parser_.problem());
      break;
    }
    if (parser_.head_complete() && !head_told_) decide();
    if (phase_ != Phase::kReading || closing_ || finished_ || !head_told_) continue;
    if (parser_.state() == HttpParser::State::kComplete) {
      phase_ = Phase::kWaiting;
      handler_.on_request(*this, parser_.request());
      parser_.drop_body();
    } else if (parser_.awaits_continue() && !continue_sent_) {
      continue_sent_ = true;
      put("HTTP/1.1 100 Continue\r\n\r\n");
    }
  }
  make_ready();
  if (closing_ || finished_) used = waiting_.size();  // nobody will read the rest
  usize left = waiting_.size() - used;
  if (left > 0 && used > 0) std::copy_n(waiting_.begin() + used, left, waiting_.begin());
  base::wipe(waiting_.data() + left, used);
  waiting_.truncate(left);
  body_bytes_ += used;
  parsing_ = false;
  return used > 0;
}

// Prepares for the next request once the previous one is not used any more.
void HttpConnection::make_ready() {
  if (std::exchange(reset_due_, false)) parser_.reset();
}

// Asks the handler about the head. If it answers here, the body stays unread, so nothing after it
// could be understood.
void HttpConnection::decide() {
  head_told_ = true;
  HttpRequest head = parser_.request();
  http_1_0_ = head.http_1_0;
  head_only_ = head.method == "HEAD";
  close_after_ = !head.keep_alive || parser_.state() != HttpParser::State::kComplete;
  phase_ = Phase::kDeciding;
  handler_.on_head(*this, head);
  if (phase_ != Phase::kDeciding) return;
  phase_ = Phase::kReading;
  close_after_ = !head.keep_alive;
}

// Frees the body received so far: it is useless, and the peer may take long to read the answer.
void HttpConnection::refuse(int status, const char* problem) {
  parser_.drop_body();
  phase_ = Phase::kWaiting;
  close_after_ = true;
  http_1_0_ = head_only_ = false;
  handler_.on_bad_request(*this, status, problem);
}

void HttpConnection::peer_closed() {
  peer_closed_ = true;
  // An HTTP/1.0 client may close its side and still read. Later clients that close have gone away.
  if (phase_ != Phase::kReading && http_1_0_) return;
  if (phase_ == Phase::kReading && !output().empty() && !lingering_) {
    closing_ = true;
    return;
  }
  peer_lost();
}

void HttpConnection::peer_lost() {
  break_off();
  static_cast<void>(tell_gone());
}

// Must not call the handler, which may be the caller.
void HttpConnection::break_off() {
  if (finished_) return;
  finished_ = true;
  base::wipe(out_);
  out_ = {};
  out_sent_ = 0;
  gone_due_ = phase_ != Phase::kReading;
}

bool HttpConnection::tell_gone() {
  if (!gone_due_ || parsing_) return false;
  gone_due_ = false;
  phase_ = Phase::kReading;
  handler_.on_gone(*this);
  return true;
}

void HttpConnection::sent(usize bytes, u64 now_ns) {
  now_ns_ = write_since_ns_ = now_ns;
  if (finished_) return;
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
  static_cast<void>(proceed(now_ns));
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
  // A slow body gets more time for every 64 KiB, and must make progress at all.
  if (state == HttpParser::State::kBody && body_bytes_ - body_mark_ >= 64 * 1024) {
    body_mark_ = body_bytes_;
    since_ns_ = now_ns;
    return;
  }
  if (waited <= (state == HttpParser::State::kBody ? times_.body_ns : times_.head_ns)) return;
  parsing_ = true;
  refuse(408, "the request did not arrive in time");
  parsing_ = false;
  static_cast<void>(tell_gone());
}

// ---- from the handler -----------------------------------------------------------------------

void HttpConnection::put(std::string_view text) {
  if (finished_) return;
  if (output().empty()) write_since_ns_ = now_ns_;
  if (!out_.append(std::span(text.data(), text.size())).has_value()) break_off();
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
  if (phase_ != Phase::kWaiting && phase_ != Phase::kDeciding) return;
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
  if (output().size() + text.size() > backlog_bytes_) return break_off();
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

// A broken connection keeps its request until the handler was told. Pipelined bytes are parsed in
// the transport's next call.
void HttpConnection::response_done() {
  if (finished_) {
    gone_due_ = false;  // the handler has ended the request, so it need not be told
    phase_ = Phase::kReading;
    return;
  }
  phase_ = Phase::kReading;
  since_ns_ = now_ns_;
  body_bytes_ = body_mark_ = 0;
  continue_sent_ = head_told_ = false;
  if (close_after_ || peer_closed_) {
    closing_ = true;
    return;
  }
  reset_due_ = true;
}

}  // namespace net
