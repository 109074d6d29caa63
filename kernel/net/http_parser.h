// SPDX-License-Identifier: GPL-2.0-or-later
// Parses one HTTP/1.x request at a time from bytes as they arrive (RFC 9112), strictly and with
// bounds. For threads; nothing here waits.
//
// Everything that two readers could interpret differently (bare line feeds, folded or repeated
// framing headers, blanks before colons or in chunk lines) is refused, because request smuggling
// depends on such differences.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/budget.h"
#include "kernel/base/containers.h"
#include "kernel/base/http_message.h"
#include "kernel/net/url.h"

namespace net {

struct HttpLimits {
  u32 target_bytes = 8 * 1024;
  u32 head_bytes = 16 * 1024;
  u32 headers = 100;
  u64 body_bytes = 16 * kMiB;
  usize backlog_bytes = 4 * kMiB;  // unread output of a stream
};

using HttpHeader = base::HttpHeader;
using HttpRequest = base::HttpRequest;  // views into the parser, valid until the next reset()

// Returns true if `token` is in a comma-separated list, in any letter case.
bool list_has_token(std::string_view list, std::string_view token);

class HttpParser {
 public:
  enum class State : u8 { kIdle, kHead, kBody, kComplete, kFailed };

  // Bodies take their memory from `bodies`, which must outlive the parser.
  HttpParser(const HttpLimits& limits, base::Budget& bodies) : limits_(limits), share_(bodies) {}
  ~HttpParser();
  HttpParser(const HttpParser&) = delete;
  HttpParser& operator=(const HttpParser&) = delete;

  // Takes bytes up to the end of one request and returns how many it took. It stops at the end of
  // the head, so that the body can be refused before any of it is kept.
  usize feed(std::string_view bytes);
  // Prepares for the next request on the same connection.
  void reset();
  // Zeroes and frees the body; request() then has none.
  void drop_body();

  State state() const { return state_; }
  // Returns true once method, target and headers are known and acceptable.
  bool head_complete() const { return head_complete_; }
  bool awaits_continue() const {
    return expects_continue_ && state_ == State::kBody && body_.empty();
  }
  int status() const { return status_; }            // valid when kFailed
  const char* problem() const { return problem_; }  // valid when kFailed
  HttpRequest request() const;

 private:
  enum class Part : u8 {
    kRequestLine,
    kHeaders,
    kLengthBody,
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailers
  };

  bool refuse(int status, const char* problem);
  bool take_line(std::string_view& bytes, usize limit, int too_long, std::string_view& line);
  bool step(std::string_view& bytes);
  bool request_line(std::string_view line);
  bool header_line(std::string_view line);
  bool field(std::string_view line, std::string_view& name, std::string_view& value);
  Result<void> keep_body(std::string_view bytes);
  bool end_of_head();
  bool place_headers();
  bool check_host();
  bool framing();
  bool one_header(std::string_view name, std::string_view& value, bool& found);
  bool trailer_line(std::string_view line);
  bool chunk_size(std::string_view line);
  bool add_body(std::string_view& bytes);

  HttpLimits limits_;
  State state_ = State::kIdle;
  Part part_ = Part::kRequestLine;
  int status_ = 0;
  const char* problem_ = "";
  Vector<char> head_;  // request line and headers, without line ends
  usize line_start_ = 0;
  u32 blank_lines_ = 0;
  usize head_used_ = 0;  // bytes of head or trailers so far
  struct Piece {
    u32 at, size;
  };
  Piece method_{}, target_{};
  struct HeaderPlace {
    Piece name, value;
  };
  Vector<HeaderPlace> places_;
  Vector<HttpHeader> headers_;
  String path_;
  Vector<char> body_;
  base::BudgetShare share_;  // the memory of body_
  u64 left_ = 0;             // bytes left of the body or the chunk
  u64 announced_ = 0;        // the most that the body may have
  usize chunk_extra_ = 0;    // bytes of chunk extensions
  bool head_complete_ = false;
  bool http_1_0_ = false, keep_alive_ = true, expects_continue_ = false;
};

}  // namespace net
