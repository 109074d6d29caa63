// SPDX-License-Identifier: GPL-2.0-or-later
// TLS 1.2 and 1.3 as a server. This is the only access to wolfSSL. It takes and gives bytes and has
// no socket. For threads; nothing here waits, but a handshake computes for milliseconds.
#pragma once

#include <string_view>

#include "kernel/base/containers.h"
#include "kernel/base/memory.h"
#include "kernel/crypto/sha256.h"
#include "kernel/net/tls/ledger.h"

struct WOLFSSL;
struct WOLFSSL_CTX;

namespace net::tls {

// The names in a certificate that make_identity() creates.
struct IdentityNames {
  std::string_view host;                        // "marrow" also gives marrow.local and localhost
  std::span<const std::string_view> addresses;  // such as "10.0.2.15"; only IPv4 is used
};
// Makes a certificate of curve P-256 with its private key, as PEM text. It is valid for 825 days,
// or from 2025 to 2049 if the time is unknown (`unix_now` 0).
Result<String> make_identity(const IdentityNames& names, u64 unix_now);

class Session;

// A server with one identity (P-256, P-384, or RSA of 2048, 3072 or 4096 bits). It must outlive its
// sessions.
class Server {
 public:
  // `pem` has the certificate, those that lead to its root, and the key, in any order.
  static Result<base::Owner<Server>> create(std::string_view pem);
  ~Server();
  // Returns the SHA-256 of the certificate, as browsers and `openssl x509 -fingerprint -sha256`
  // show it.
  const crypto::Sha256Digest& fingerprint() const { return fingerprint_; }
  Result<base::Owner<Session>> begin();

  explicit Server(WOLFSSL_CTX* context) : context_(context) {}
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

 private:
  WOLFSSL_CTX* context_;
  crypto::Sha256Digest fingerprint_{};
};

class Session {
 public:
  ~Session();
  // Takes all bytes of the peer. To be called while hungry().
  Result<void> receive(std::string_view bytes);
  bool hungry() const { return in_at_ == in_.size(); }
  // Returns plain bytes, 0 when the peer has closed, or kBusy if more must be received first.
  Result<usize> read(std::span<char> into);
  // Takes at most one record. kBusy before the handshake is complete.
  Result<usize> write(std::string_view plain);
  void goodbye();
  bool established() const { return established_; }
  std::string_view protocol() const;  // "TLSv1.3"
  std::string_view cipher() const;
  // Returns the bytes that must be sent to the peer.
  std::string_view output() const { return {out_.data() + out_at_, out_.size() - out_at_}; }
  void sent(usize bytes);

  explicit Session(WOLFSSL* session) : session_(session) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  friend class Server;
  static int take_input(WOLFSSL*, char* to, int most, void* argument);
  static int give_output(WOLFSSL*, char* from, int bytes, void* argument);
  Result<usize> result_of(int returned);
  Result<void> shake_hands();

  Ledger ledger_;
  WOLFSSL* session_;
  Vector<char> in_, out_;
  usize in_at_ = 0, out_at_ = 0;
  bool established_ = false, failed_ = false;
};

}  // namespace net::tls
