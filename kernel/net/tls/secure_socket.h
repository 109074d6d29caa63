// SPDX-License-Identifier: GPL-2.0-or-later
// A socket with TLS: as a server, whose peer may speak TLS or plain text, which its first byte
// tells, or as a client.
#pragma once

#include "kernel/net/socket.h"
#include "kernel/net/tls/tls.h"

namespace net::tls {

class SecureSocket final : public Socket {
 public:
  // The peer must finish its handshake by `deadline_ns` on the clock `now`.
  SecureSocket(base::Owner<Socket> plain, Server& server, u64 (*now)(), u64 deadline_ns)
      : plain_(std::move(plain)), server_(&server), now_(now), deadline_ns_(deadline_ns) {}
  // For a client, with a session that it has begun.
  SecureSocket(base::Owner<Socket> plain, base::Owner<Session> session, u64 (*now)(),
               u64 deadline_ns)
      : plain_(std::move(plain)),
        session_(std::move(session)),
        now_(now),
        deadline_ns_(deadline_ns),
        known_(true) {}

  Result<usize> read(std::span<char> into) override;
  Result<usize> write(std::string_view bytes) override;
  void shutdown_write() override;
  void flush() override;
  bool secure() const override { return session_ != nullptr; }
  std::string_view peer() const override { return plain_->peer(); }

 private:
  Result<usize> read_first(std::span<char> into);
  Result<usize> read_secure(std::span<char> into);
  Result<void> receive();
  Result<void> shake_hands();

  base::Owner<Socket> plain_;
  Server* server_ = nullptr;      // null for a client
  base::Owner<Session> session_;  // null: not known yet, or the peer speaks plain text
  u64 (*now_)();
  u64 deadline_ns_;
  bool known_ = false;   // it is known which of the two
  bool ending_ = false;  // our side will end once everything was sent
  bool ended_ = false;   // our side has ended
  bool broken_ = false;  // a write failed
};

}  // namespace net::tls
