// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the HTTP request parser: lines first, then a body by length or in chunks (RFC 9112, 2
// to 7).
#include "kernel/net/http_parser.h"

#include <algorithm>

#include "kernel/base/text.h"
#include "kernel/base/wipe.h"
#include "kernel/net/http_syntax.h"

namespace net {
namespace {

constexpr usize kMaxChunkLine = 256;
constexpr u32 kMaxBlankLines = 4;  // before a request (2.2)

bool is_port(std::string_view text) {
  return text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Accepts uri-host [":" port] (RFC 9110, 7.2): a name, an IPv4 address, or an IPv6 address in
// brackets.
bool good_authority(std::string_view text) {
  usize end = text.starts_with('[') ? text.find(']') : text.find(':');
  if (text.starts_with('[')) {
    if (end == std::string_view::npos) return false;
    end++;
  }
  std::string_view host = text.substr(0, end);
  std::string_view rest = end == std::string_view::npos ? "" : text.substr(end);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  // no comma: that would be two hosts in one header
  constexpr std::string_view kMarks = "-._~!$&'()*+;=%:";
  bool bracketed = text.starts_with('[');
  for (char c : host) {
    bool letter = base::lower(c) >= 'a' && base::lower(c) <= 'z';
    if (c == ':' && !bracketed) return false;
    if (!letter && !(c >= '0' && c <= '9') && kMarks.find(c) == std::string_view::npos)
      return false;
  }
  return rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)));
}

// Returns the host in an absolute target, or "" for any other target (RFC 9112, 3.2.2).
std::string_view authority_of(std::string_view target) {
  for (std::string_view scheme : {"http://", "https://"})
    if (target.starts_with(scheme)) {
      target.remove_prefix(scheme.size());
      return target.substr(0, target.find_first_of("/?#"));
    }
  return {};
}

}  // namespace

bool list_has_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    std::string_view one = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), one.size() + 1));
    if (base::equal_ignoring_case(http_syntax::trim_blanks(one), token)) return true;
  }
  return false;
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

HttpParser::~HttpParser() {
  base::wipe(head_);
  drop_body();
}

void HttpParser::drop_body() {
  base::wipe(body_);
  body_ = {};
  share_.give_back();
}

void HttpParser::reset() {
  drop_body();
  base::wipe(head_);  // it may contain a key
  places_.clear();
  headers_.clear();
  path_.clear();
  state_ = State::kIdle;
  part_ = Part::kRequestLine;
  status_ = 0;
  problem_ = "";
  line_start_ = head_used_ = 0;
  blank_lines_ = 0;
  left_ = announced_ = 0;
  chunk_extra_ = 0;
  http_1_0_ = expects_continue_ = head_complete_ = false;
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
  while (!bytes.empty() && state_ != State::kComplete && state_ != State::kFailed) {
    bool in_head = !head_complete_;
    if (!step(bytes) || (in_head && head_complete_)) break;
  }
  if (state_ == State::kComplete) place_headers();
  return given - bytes.size();
}

// Computes the views anew, because head_ may have moved (chunk lines pass through it). Their room
// was reserved.
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

// Collects a line in head_ from line_start_. Returns true once its CRLF, which is not part of
// `line`, has come.
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
      return take_line(bytes, limits_.head_bytes, 431, line) && trailer_line(line);
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
  if (!http_syntax::is_token(method) || method.size() > 24) return refuse(400, "broken method");
  if (!version.starts_with("HTTP/") || version.size() != 8 || version[6] != '.')
    return refuse(400, "broken HTTP version");
  if (version != "HTTP/1.1" && version != "HTTP/1.0")
    return refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
  if (target.size() > limits_.target_bytes) return refuse(414, "the target is too long");
  for (char c : target)
    if (static_cast<u8>(c) <= 0x20 || static_cast<u8>(c) >= 0x7f)
      return refuse(400, "character in the target that must be escaped");
  bool known_form = target.starts_with('/') || !authority_of(target).empty() ||
                    (target == "*" && method == "OPTIONS");
  if (!known_form) return refuse(400, "broken target");
  Result<void> decoded = percent_decode(split_target(target).path, PlusIsBlank::kNo, path_);
  if (!decoded.has_value() && decoded.error().code == Errc::kOutOfMemory)
    return refuse(503, "out of memory");
  if (!decoded.has_value()) return refuse(400, "broken escape in the target");
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

bool HttpParser::field(std::string_view line, std::string_view& name, std::string_view& value) {
  const char* problem = http_syntax::split_field(line, name, value);
  return problem == nullptr || refuse(400, problem);
}

// Trailers must be well formed, and their contents are ignored.
bool HttpParser::trailer_line(std::string_view line) {
  std::string_view name, value;
  if (!line.empty() && !field(line, name, value)) return false;
  head_.truncate(line_start_);
  if (line.empty()) state_ = State::kComplete;
  return true;
}

bool HttpParser::header_line(std::string_view line) {
  if (line.empty()) return end_of_head();
  std::string_view name, value;
  if (!field(line, name, value)) return false;
  if (places_.size() == limits_.headers) return refuse(431, "too many headers");
  auto place = [&](std::string_view part) {
    return Piece{static_cast<u32>(part.data() - head_.data()), static_cast<u32>(part.size())};
  };
  if (!places_.push_back({place(name), place(value)}).has_value())
    return refuse(503, "out of memory");
  line_start_ = head_.size();
  return true;
}

// Finds a header that may occur once. If it occurs twice, the request is refused and this returns
// false.
bool HttpParser::one_header(std::string_view name, std::string_view& value, bool& found) {
  found = false;
  for (const HttpHeader& h : headers_) {
    if (!base::equal_ignoring_case(h.name, name)) continue;
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
  if (!check_host()) return false;
  for (const HttpHeader& h : headers_) {
    if (!base::equal_ignoring_case(h.name, "connection")) continue;
    if (list_has_token(h.value, "close")) keep_alive_ = false;
    if (http_1_0_ && list_has_token(h.value, "keep-alive")) keep_alive_ = true;
  }
  if (!one_header("expect", value, found)) return false;
  if (found && !base::equal_ignoring_case(value, "100-continue"))
    return refuse(417, "unknown expectation");
  expects_continue_ = found && !http_1_0_;
  head_complete_ = framing();
  return head_complete_;
}

// There must be one host: an absolute target and the Host header must agree (RFC 9110, 7.2 allows a
// server to refuse others).
bool HttpParser::check_host() {
  std::string_view value;
  bool found = false;
  if (!one_header("host", value, found)) return false;
  if (!found && !http_1_0_) return refuse(400, "no Host header");
  if (!good_authority(value)) return refuse(400, "broken Host header");
  std::string_view target(head_.data() + target_.at, target_.size);
  std::string_view absolute = authority_of(target);
  if (found && !absolute.empty() && !base::equal_ignoring_case(absolute, value))
    return refuse(400, "the target and the Host header name two hosts");
  return true;
}

// Decides how long the body is (RFC 9112, 6.3; stricter where the RFC lets a server choose).
bool HttpParser::framing() {
  std::string_view length, coding;
  bool has_length = false, has_coding = false;
  if (!one_header("content-length", length, has_length)) return false;
  if (!one_header("transfer-encoding", coding, has_coding)) return false;
  if (has_length && has_coding) return refuse(400, "both Content-Length and Transfer-Encoding");
  if (has_coding) {
    if (http_1_0_) return refuse(400, "Transfer-Encoding in HTTP/1.0");
    if (!base::equal_ignoring_case(coding, "chunked"))
      return refuse(501, "unknown transfer coding");
    state_ = State::kBody;
    part_ = Part::kChunkSize;
    announced_ = limits_.body_bytes;
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
  std::optional<u64> bytes = http_syntax::decimal_length(length);
  if (!bytes) return refuse(400, "broken Content-Length");
  left_ = *bytes;
  if (left_ > limits_.body_bytes) return refuse(413, "the body is too large");
  announced_ = left_;
  part_ = Part::kLengthBody;
  state_ = left_ == 0 ? State::kComplete : State::kBody;
  return true;
}

bool HttpParser::chunk_size(std::string_view line) {
  http_syntax::ChunkLine chunk;
  const char* problem = http_syntax::read_chunk_line(line, chunk);
  if (problem != nullptr) return refuse(400, problem);
  chunk_extra_ += chunk.extension_bytes;
  if (chunk_extra_ > limits_.head_bytes) return refuse(400, "too many chunk extensions");
  head_.truncate(line_start_);
  head_used_ = 0;
  if (chunk.bytes > limits_.body_bytes - body_.size()) return refuse(413, "the body is too large");
  left_ = chunk.bytes;
  part_ = chunk.bytes == 0 ? Part::kTrailers : Part::kChunkData;
  return true;
}

bool HttpParser::add_body(std::string_view& bytes) {
  usize part = static_cast<usize>(std::min<u64>(left_, bytes.size()));
  Result<void> kept = keep_body(bytes.substr(0, part));
  if (!kept.has_value()) return refuse(503, kept.error().what);
  bytes.remove_prefix(part);
  left_ -= part;
  return true;
}

// The room doubles up to what the head announced, so a peer that announces much and sends little
// takes little memory. The old room is zeroed before it is freed.
Result<void> HttpParser::keep_body(std::string_view bytes) {
  constexpr usize kLeastRoom = 4096;
  usize needed = body_.size() + bytes.size();
  if (needed > body_.capacity()) {
    usize room = std::max({needed, 2 * body_.capacity(), kLeastRoom});
    room = static_cast<usize>(std::min<u64>(room, announced_));
    Vector<char> grown;
    TRY(grown.reserve(room));
    if (!share_.take(room - body_.capacity()))
      return fail(Errc::kFull, "the memory for requests is in use: try again later");
    TRY(grown.append(body_.view()));
    base::wipe(body_);
    body_ = std::move(grown);
  }
  return body_.append(std::span(bytes.data(), bytes.size()));
}

}  // namespace net
