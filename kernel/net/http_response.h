// SPDX-License-Identifier: GPL-2.0-or-later
// Parses one HTTP/1.x response to a GET from bytes as they arrive (RFC 9112), strictly and with
// bounds. It keeps the head and passes the body on. For threads; nothing here waits.
#pragma once

#include <optional>
#include <string_view>

#include "kernel/base/containers.h"

namespace net {

class HttpResponseParser {
 public:
  enum class State : u8 { kHead, kBody, kComplete, kFailed };

  static constexpr usize kMostHeadBytes = 32 * 1024;  // signed addresses are long
  static constexpr usize kMostHeaders = 100;

  // Takes bytes and returns how many it took: it stops at the end of the head and behind each run
  // of the body's bytes, which are in `body`, a part of `bytes`.
  usize feed(std::string_view bytes, std::string_view& body);
  // The peer has ended the connection. That completes a body without a length, and cuts others.
  void end();

  State state() const { return state_; }
  bool cut() const { return cut_; }  // kFailed because the connection ended too early
  const char* problem() const { return problem_; }  // valid when kFailed

  // ---- valid from kBody on
  int status() const { return status_; }
  // Returns the first header of that name, in any letter case, or "".
  std::string_view header(std::string_view name) const;
  // Returns the length of the body if the head tells it.
  std::optional<u64> length() const { return length_; }

 private:
  enum class Part : u8 {
    kStatusLine,
    kHeaders,
    kLengthBody,
    kEndlessBody,  // up to the end of the connection
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailers
  };

  bool refuse(const char* problem);
  bool step(std::string_view& bytes, std::string_view& body);
  bool take_line(std::string_view& bytes);
  bool status_line();
  bool header_line();
  bool trailer_line();
  bool end_of_head();
  bool framing();
  bool unique_header(std::string_view name, std::optional<std::string_view>& value);
  bool chunk_line();
  bool take_body(std::string_view& bytes, std::string_view& body);

  struct Piece {
    u32 at, size;
  };
  struct Place {
    Piece name, value;
  };
  std::string_view text(Piece piece) const { return {head_.data() + piece.at, piece.size}; }
  Result<Piece> keep(std::string_view text);

  State state_ = State::kHead;
  Part part_ = Part::kStatusLine;
  int status_ = 0;
  const char* problem_ = "";
  Vector<char> line_;  // the line that arrives, with its end
  Vector<char> head_;  // names and values
  Vector<Place> places_;
  usize used_ = 0;  // bytes of lines since the last reset
  std::optional<u64> length_;
  u64 left_ = 0;     // bytes left of the body or the chunk
  u32 interim_ = 0;  // answers 1xx that came before
  bool http_1_0_ = false, cut_ = false;
};

}  // namespace net
