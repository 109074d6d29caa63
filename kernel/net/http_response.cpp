// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the response parser: lines first, then a body by length, in chunks, or up to the end
// of the connection (RFC 9112, 4 to 7).
#include "kernel/net/http_response.h"

#include "kernel/base/text.h"
#include "kernel/net/http_syntax.h"

namespace net {
namespace {
constexpr u32 kMostInterim = 8;
constexpr int kNoContent = 204, kNotModified = 304, kSwitchingProtocols = 101;
}  // namespace

usize HttpResponseParser::feed(std::string_view bytes, std::string_view& body) {
  usize given = bytes.size();
  body = {};
  while (!bytes.empty() && (state_ == State::kHead || state_ == State::kBody)) {
    bool in_head = state_ == State::kHead;
    if (!step(bytes, body) || !body.empty() || (in_head && state_ != State::kHead)) break;
  }
  return given - bytes.size();
}

void HttpResponseParser::end() {
  if (state_ == State::kComplete || state_ == State::kFailed) return;
  if (part_ == Part::kEndlessBody) {
    state_ = State::kComplete;
    return;
  }
  refuse("the connection ended before the answer did");
  cut_ = true;
}

std::string_view HttpResponseParser::header(std::string_view name) const {
  for (const Place& place : places_)
    if (base::equal_ignoring_case(text(place.name), name)) return text(place.value);
  return {};
}

bool HttpResponseParser::refuse(const char* problem) {
  state_ = State::kFailed;
  problem_ = problem;
  return false;
}

bool HttpResponseParser::step(std::string_view& bytes, std::string_view& body) {
  switch (part_) {
    case Part::kStatusLine:
      return take_line(bytes) && status_line();
    case Part::kHeaders:
      return take_line(bytes) && header_line();
    case Part::kEndlessBody:
      body = bytes;
      bytes = {};
      return true;
    case Part::kLengthBody:
      if (take_body(bytes, body)) state_ = State::kComplete;
      return true;
    case Part::kChunkSize:
      return take_line(bytes) && chunk_line();
    case Part::kChunkData:
      if (take_body(bytes, body)) part_ = Part::kChunkEnd;
      return true;
    case Part::kChunkEnd:
      if (!take_line(bytes)) return false;
      if (!line_.empty()) return refuse("a chunk is longer than its size");
      part_ = Part::kChunkSize;
      return true;
    case Part::kTrailers:
      return take_line(bytes) && trailer_line();
  }
  return false;
}

// Collects a line in line_. Returns true once its CRLF, which is taken off, has come.
bool HttpResponseParser::take_line(std::string_view& bytes) {
  usize end = bytes.find('\n');
  usize part = end == std::string_view::npos ? bytes.size() : end + 1;
  std::string_view piece = bytes.substr(0, part);
  bytes.remove_prefix(part);
  used_ += part;
  if (used_ > kMostHeadBytes) return refuse("the head of the answer is too large");
  if (!line_.append(std::span(piece.data(), piece.size())).has_value())
    return refuse("out of memory");
  if (end == std::string_view::npos) return false;
  usize size = line_.size();
  if (size < 2 || line_[size - 2] != '\r') return refuse("line without CRLF");
  line_.truncate(size - 2);
  std::string_view line(line_.data(), line_.size());
  if (line.find_first_of(std::string_view("\r\0", 2)) != std::string_view::npos)
    return refuse("carriage return or zero byte in a line");
  return true;
}

// "HTTP/1.1 206 Partial Content"; the reason may be missing (RFC 9112, 4).
bool HttpResponseParser::status_line() {
  constexpr usize kStatusAt = 9, kStatusEnd = 12;
  std::string_view line(line_.data(), line_.size());
  bool version = line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ");
  if (!version || line.size() < kStatusEnd) return refuse("the answer is not HTTP/1.1");
  if (line.size() > kStatusEnd && line[kStatusEnd] != ' ') return refuse("broken status line");
  status_ = 0;
  for (char c : line.substr(kStatusAt, kStatusEnd - kStatusAt)) {
    if (c < '0' || c > '9') return refuse("broken status line");
    status_ = status_ * 10 + (c - '0');
  }
  if (status_ < 100 || status_ > 599) return refuse("broken status line");
  http_1_0_ = line.starts_with("HTTP/1.0 ");
  part_ = Part::kHeaders;
  line_.clear();
  return true;
}

Result<HttpResponseParser::Piece> HttpResponseParser::keep(std::string_view text) {
  Piece piece{static_cast<u32>(head_.size()), static_cast<u32>(text.size())};
  TRY(head_.append(std::span(text.data(), text.size())));
  return piece;
}

bool HttpResponseParser::header_line() {
  std::string_view line(line_.data(), line_.size()), name, value;
  if (line.empty()) return end_of_head();
  const char* problem = http_syntax::split_field(line, name, value);
  if (problem != nullptr) return refuse(problem);
  if (places_.size() == kMostHeaders) return refuse("too many headers");
  Result<Piece> name_place = keep(name);
  Result<Piece> value_place = keep(value);
  if (!name_place.has_value() || !value_place.has_value() ||
      !places_.push_back({*name_place, *value_place}).has_value())
    return refuse("out of memory");
  line_.clear();
  return true;
}

// Trailers must be well formed, and their contents are ignored.
bool HttpResponseParser::trailer_line() {
  std::string_view line(line_.data(), line_.size()), name, value;
  const char* problem = line.empty() ? nullptr : http_syntax::split_field(line, name, value);
  if (problem != nullptr) return refuse(problem);
  if (line.empty()) state_ = State::kComplete;
  line_.clear();
  return true;
}

bool HttpResponseParser::end_of_head() {
  line_.clear();
  used_ = 0;
  if (status_ == kSwitchingProtocols) return refuse("the server changes to another protocol");
  if (status_ >= 200) return framing();
  // Another answer follows an interim one.
  if (++interim_ > kMostInterim) return refuse("too many interim answers");
  head_.clear();
  places_.clear();
  part_ = Part::kStatusLine;
  return true;
}

// Finds a header that may occur once. If it occurs twice, the answer is refused and this returns
// false.
bool HttpResponseParser::unique_header(std::string_view name,
                                       std::optional<std::string_view>& value) {
  for (const Place& place : places_) {
    if (!base::equal_ignoring_case(text(place.name), name)) continue;
    if (value.has_value()) return refuse("a header that must be unique came twice");
    value = text(place.value);
  }
  return true;
}

// Decides how long the body is (RFC 9112, 6.3).
bool HttpResponseParser::framing() {
  std::optional<std::string_view> length, coding;
  if (!unique_header("content-length", length) || !unique_header("transfer-encoding", coding))
    return false;
  state_ = State::kBody;
  if (status_ == kNoContent || status_ == kNotModified) {
    state_ = State::kComplete;
  } else if (coding.has_value()) {
    if (length.has_value()) return refuse("both Content-Length and Transfer-Encoding");
    if (http_1_0_ || !base::equal_ignoring_case(*coding, "chunked"))
      return refuse("unknown transfer coding");
    part_ = Part::kChunkSize;
  } else if (length.has_value()) {
    length_ = http_syntax::decimal_length(*length);
    if (!length_) return refuse("broken Content-Length");
    left_ = *length_;
    part_ = Part::kLengthBody;
    if (left_ == 0) state_ = State::kComplete;
  } else {
    part_ = Part::kEndlessBody;
  }
  return true;
}

bool HttpResponseParser::chunk_line() {
  http_syntax::ChunkLine chunk;
  const char* problem = http_syntax::read_chunk_line({line_.data(), line_.size()}, chunk);
  if (problem != nullptr) return refuse(problem);
  left_ = chunk.bytes;
  part_ = left_ == 0 ? Part::kTrailers : Part::kChunkData;
  used_ = 0;
  line_.clear();
  return true;
}

// Returns true once all bytes of the body or of the chunk have come.
bool HttpResponseParser::take_body(std::string_view& bytes, std::string_view& body) {
  body = bytes.substr(0, left_);
  bytes.remove_prefix(body.size());
  left_ -= body.size();
  return left_ == 0;
}

}  // namespace net
