// SPDX-License-Identifier: GPL-2.0-or-later
// Moves bytes between a plain socket and a TLS session.
#include "kernel/net/tls/secure_socket.h"

namespace net::tls {
namespace {

constexpr usize kReadBytes = 16 * 1024;
constexpr usize kMostHeld = 64 * 1024;   // encrypted bytes that the peer has not taken
constexpr char kHandshakeRecord = 0x16;  // RFC 8446, 5.1; no HTTP method begins with this byte
char received[kReadBytes];               // shared: threads do not yield while it is in use

}  // namespace

Result<usize> SecureSocket::read(std::span<char> into) {
  if (into.empty()) return fail(Errc::kInvalidArgument, "no room to read into");
  if (!known_) return read_first(into);
  return session_ == nullptr ? plain_->read(into) : read_secure(into);
}

Result<usize> SecureSocket::read_first(std::span<char> into) {
  usize n = TRY(plain_->read(into));
  if (n == 0) return n;
  known_ = true;
  if (into[0] != kHandshakeRecord) return n;
  session_ = TRY(server_->begin());
  TRY(session_->receive({into.data(), n}));
  return read_secure(into);
}

Result<usize> SecureSocket::read_secure(std::span<char> into) {
  for (;;) {
    Result<usize> n = session_->read(into);
    flush();
    if (broken_) return fail(Errc::kIo, "the connection broke");
    if (n.has_value() || n.error().code != Errc::kBusy) return n;
    TRY(receive());
  }
}

// Takes encrypted bytes of the peer.
Result<void> SecureSocket::receive() {
  if (!session_->established() && now_() > deadline_ns_)
    return fail(Errc::kTimeout, "the handshake took too long");
  usize more = TRY(plain_->read(received));
  if (more == 0) return fail(Errc::kIo, "the peer closed the connection without a closing alert");
  return session_->receive({received, more});
}

// A client writes first, and must take the peer's part of the handshake before it can.
Result<void> SecureSocket::shake_hands() {
  while (!session_->established()) {
    Result<void> done = session_->shake_hands();
    flush();
    if (broken_) return fail(Errc::kIo, "the connection broke");
    if (!done.has_value() && done.error().code != Errc::kBusy) return done;
    if (!done.has_value()) TRY(receive());
  }
  return {};
}

Result<usize> SecureSocket::write(std::string_view bytes) {
  if (session_ == nullptr) return plain_->write(bytes);
  TRY(shake_hands());
  flush();
  if (broken_) return fail(Errc::kIo, "the connection broke");
  if (session_->output().size() >= kMostHeld) return fail(Errc::kBusy, "no room");
  usize n = TRY(session_->write(bytes));
  flush();
  return n;
}

void SecureSocket::shutdown_write() {
  if (session_ == nullptr) return plain_->shutdown_write();
  if (ending_) return;
  ending_ = true;
  session_->goodbye();
  flush();
}

void SecureSocket::flush() {
  if (session_ == nullptr) return plain_->flush();
  while (!broken_ && !session_->output().empty()) {
    Result<usize> n = plain_->write(session_->output());
    if (!n.has_value()) {
      broken_ = n.error().code != Errc::kBusy;
      return;
    }
    session_->sent(*n);
  }
  if (!ending_ || ended_) return;
  ended_ = true;
  plain_->shutdown_write();
}

}  // namespace net::tls
