// SPDX-License-Identifier: GPL-2.0-or-later
// HTTP request parser: lines first, then a body by length or in chunks (RFC 9112, 2 to 7).
#include "kernel/net/http_parser.h"

#include <algorithm>

#include "kernel/base/hex.h"

namespace net {
namespace {

constexpr usize kMaxChunkLine = 256;
constexpr u32 kMaxBlankLines = 4;  // before a request (2.2)

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

// A token's characters (RFC 9110, 5.6.2).
bool is_token_char(char c) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
         kMarks.find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

bool list_has_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    std::string_view one = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), one.size() + 1));
    if (equal_ignoring_case(trim(one), token)) return true;
  }
  return false;
}

std::string_view HttpRequest::header(std::string_view name) const {
  for (const HttpHeader& h : headers)
    if (equal_ignoring_case(h.name, name)) return h.value;
  return {};
}

HttpRequest HttpParser::request() const {
  auto text = [&](Piece p) { return std::string_view(head_.data() + p.at, p.size); };
  Target target = split_target(text(target_));
  return {.method = text(method_),
          .path = path_.view(),
          .query = target.query,
          .headers = headers_.view(),
          .body = {body_.data(), body_.size()},
          .http_1_0 = http_1_0_,
          .keep_alive = keep_alive_};
}

void HttpParser::reset() {
  // A large body's memory is not kept for the next, small request.
  if (body_.capacity() > 64 * 1024) body_ = {};
  body_.clear();
  head_.clear();
  places_.clear();
  headers_.clear();
  path_.clear();
  state_ = State::kIdle;
  part_ = Part::kRequestLine;
  status_ = 0;
  problem_ = "";
  line_start_ = head_used_ = 0;
  blank_lines_ = 0;
  left_ = 0;
  http_1_0_ = expects_continue_ = false;
  keep_alive_ = true;
}

bool HttpParser::refuse(int status, const char* problem) {
  state_ = State::kFailed;
  status_ = status;
  problem_ = problem;
  return false;
}

usize HttpParser::feed(std::string_view bytes) {
  usize given = bytes.size();
  while (!bytes.empty() && state_ != State::kComplete && state_ != State::kFailed)
    if (!step(bytes)) break;
  if (state_ == State::kComplete) place_headers();
  return given - bytes.size();
}

// head_ may have moved since (chunk lines pass through it); the room for the views is there.
bool HttpParser::place_headers() {
  auto text = [&](Piece p) { return std::string_view(head_.data() + p.at, p.size); };
  headers_.clear();
  if (!headers_.reserve(places_.size()).has_value()) return refuse(503, "out of memory");
  for (const HeaderPlace& p : places_) {
    if (!headers_.push_back({text(p.name), text(p.value)}).has_value())
      return refuse(503, "out of memory");
  }
  return true;
}

// Collects a line in head_ from line_start_. True once its CRLF came (not part of `line`).
bool HttpParser::take_line(std::string_view& bytes, usize limit, int too_long,
                           std::string_view& line) {
  usize end = bytes.find('\n');
  usize part = end == std::string_view::npos ? bytes.size() : end + 1;
  std::string_view piece = bytes.substr(0, part);
  bytes.remove_prefix(part);
  head_used_ += part;
  if (head_.size() - line_start_ + part > limit + 2 || head_used_ > limits_.head_bytes)
    return refuse(too_long, "the head of the request is too large");
  if (piece.find('\0') != std::string_view::npos) return refuse(400, "zero byte in the head");
  if (!head_.append(std::span(piece.data(), piece.size())).has_value())
    return refuse(503, "out of memory");
  if (end == std::string_view::npos) return false;
  usize size = head_.size() - line_start_;
  if (size < 2 || head_[head_.size() - 2] != '\r') return refuse(400, "line without CRLF");
  head_.truncate(head_.size() - 2);
  line = {head_.data() + line_start_, size - 2};
  if (line.find('\r') != std::string_view::npos) return refuse(400, "carriage return in a line");
  return true;
}

bool HttpParser::step(std::string_view& bytes) {
  std::string_view line;
  switch (part_) {
    case Part::kRequestLine:
      state_ = State::kHead;
      return take_line(bytes, limits_.target_bytes + 32, 414, line) && request_line(line);
    case Part::kHeaders:
      return take_line(bytes, limits_.head_bytes, 431, line) && header_line(line);
    case Part::kLengthBody:
      if (!add_body(bytes)) return false;
      if (left_ == 0) state_ = State::kComplete;
      return true;
    case Part::kChunkSize:
      return take_line(bytes, kMaxChunkLine, 400, line) && chunk_size(line);
    case Part::kChunkData:
      if (!add_body(bytes)) return false;
      if (left_ == 0) part_ = Part::kChunkEnd;
      return true;
    case Part::kChunkEnd:
      if (!take_line(bytes, 0, 400, line)) return false;
      part_ = Part::kChunkSize;
      return true;
    case Part::kTrailers:
      if (!take_line(bytes, limits_.head_bytes, 431, line)) return false;
      head_.truncate(line_start_);  // trailers say nothing we use
      if (line.empty()) state_ = State::kComplete;
      return true;
  }
  return false;
}

bool HttpParser::request_line(std::string_view line) {
  if (line.empty()) {
    if (++blank_lines_ > kMaxBlankLines) return refuse(400, "empty lines instead of a request");
    state_ = State::kIdle;
    return true;
  }
  usize first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return refuse(400, "broken request line");
  std::string_view method = line.substr(0, first), version = line.substr(last + 1);
  std::string_view target = line.substr(first + 1, last - first - 1);
  if (!is_token(method) || method.size() > 24) return refuse(400, "broken method");
  if (!version.starts_with("HTTP/") || version.size() != 8 || version[6] != '.')
    return refuse(400, "broken HTTP version");
  if (version != "HTTP/1.1" && version != "HTTP/1.0")
    return refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
  if (target.size() > limits_.target_bytes) return refuse(414, "the target is too long");
  for (char c : target)
    if (static_cast<u8>(c) <= 0x20 || static_cast<u8>(c) >= 0x7f)
      return refuse(400, "character in the target that must be escaped");
  bool known_form = target.starts_with('/') || target.starts_with("http") || target == "*";
  if (!known_form) return refuse(400, "broken target");
  if (!percent_decode(split_target(target).path, PlusIsBlank::kNo, path_).has_value())
    return refuse(400, "broken escape in the target");
  auto place = [&](std::string_view part) {
    return Piece{static_cast<u32>(part.data() - head_.data()), static_cast<u32>(part.size())};
  };
  method_ = place(method);
  target_ = place(target);
  http_1_0_ = version == "HTTP/1.0";
  keep_alive_ = !http_1_0_;
  line_start_ = head_.size();
  part_ = Part::kHeaders;
  return true;
}

bool HttpParser::header_line(std::string_view line) {
  if (line.empty()) return end_of_head();
  if (line.front() == ' ' || line.front() == '\t') return refuse(400, "folded header line");
  usize colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
    return refuse(400, "broken header name");
  std::string_view value = trim(line.substr(colon + 1));
  for (char c : value)
    if ((static_cast<u8>(c) < 0x20 && c != '\t') || c == 0x7f)
      return refuse(400, "control character in a header");
  if (places_.size() == limits_.headers) return refuse(431, "too many headers");
  auto place = [&](std::string_view part) {
    return Piece{static_cast<u32>(part.data() - head_.data()), static_cast<u32>(part.size())};
  };
  if (!places_.push_back({place(line.substr(0, colon)), place(value)}).has_value())
    return refuse(503, "out of memory");
  line_start_ = head_.size();
  return true;
}

// A header that may come at most once. False when it came twice (the request is refused).
bool HttpParser::one_header(std::string_view name, std::string_view& value, bool& found) {
  found = false;
  for (const HttpHeader& h : headers_) {
    if (!equal_ignoring_case(h.name, name)) continue;
    if (found) return refuse(400, "a header that must be unique came twice");
    value = h.value;
    found = true;
  }
  return true;
}

bool HttpParser::end_of_head() {
  if (!place_headers()) return false;
  std::string_view value;
  bool found = false;
  if (!one_header("host", value, found)) return false;
  if (!found && !http_1_0_) return refuse(400, "no Host header");
  for (const HttpHeader& h : headers_) {
    if (!equal_ignoring_case(h.name, "connection")) continue;
    if (list_has_token(h.value, "close")) keep_alive_ = false;
    if (http_1_0_ && list_has_token(h.value, "keep-alive")) keep_alive_ = true;
  }
  if (!one_header("expect", value, found)) return false;
  if (found && !equal_ignoring_case(value, "100-continue"))
    return refuse(417, "unknown expectation");
  expects_continue_ = found && !http_1_0_;
  return framing();
}

// How long is the body? (RFC 9112, 6.3; stricter where the RFC lets a server choose.)
bool HttpParser::framing() {
  std::string_view length, coding;
  bool has_length = false, has_coding = false;
  if (!one_header("content-length", length, has_length)) return false;
  if (!one_header("transfer-encoding", coding, has_coding)) return false;
  if (has_length && has_coding) return refuse(400, "both Content-Length and Transfer-Encoding");
  if (has_coding) {
    if (http_1_0_) return refuse(400, "Transfer-Encoding in HTTP/1.0");
    if (!equal_ignoring_case(coding, "chunked")) return refuse(501, "unknown transfer coding");
    state_ = State::kBody;
    part_ = Part::kChunkSize;
    head_used_ = 0;
    line_start_ = head_.size();
    return true;
  }
  if (!has_length) {
    std::string_view method(head_.data() + method_.at, method_.size);
    if (method == "POST" || method == "PUT" || method == "PATCH")
      return refuse(411, "a body needs Content-Length or chunked coding");
    state_ = State::kComplete;
    return true;
  }
  if (length.empty() || length.size() > 18 ||
      !std::all_of(length.begin(), length.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return refuse(400, "broken Content-Length");
  left_ = 0;
  for (char c : length) left_ = left_ * 10 + static_cast<u64>(c - '0');
  if (left_ > limits_.body_bytes) return refuse(413, "the body is too large");
  part_ = Part::kLengthBody;
  state_ = left_ == 0 ? State::kComplete : State::kBody;
  return true;
}

bool HttpParser::chunk_size(std::string_view line) {
  std::string_view digits = line.substr(0, line.find(';'));
  if (digits.empty() || digits.size() > 8) return refuse(400, "broken chunk size");
  u64 size = 0;
  for (char c : digits) {
    std::optional<u8> digit = base::hex_digit(c);
    if (!digit) return refuse(400, "broken chunk size");
    size = size << 4 | *digit;
  }
  head_.truncate(line_start_);
  head_used_ = 0;
  if (size > limits_.body_bytes - body_.size()) return refuse(413, "the body is too large");
  left_ = size;
  part_ = size == 0 ? Part::kTrailers : Part::kChunkData;
  return true;
}

bool HttpParser::add_body(std::string_view& bytes) {
  usize part = static_cast<usize>(std::min<u64>(left_, bytes.size()));
  if (!body_.append(std::span(bytes.data(), part)).has_value()) return refuse(503, "out of memory");
  bytes.remove_prefix(part);
  left_ -= part;
  return true;
}

}  // namespace net
