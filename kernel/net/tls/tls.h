// SPDX-License-Identifier: GPL-2.0-or-later
// TLS 1.2 and 1.3 as a server and as a client. This is the only access to wolfSSL. It takes and
// gives bytes and has no socket. For threads; nothing here waits, but a handshake computes for
// milliseconds.
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

// A client that knows which authorities it trusts. It must outlive its sessions.
class Client {
 public:
  // `authorities` has their certificates in PEM form; those that cannot be used are left out.
  static Result<base::Owner<Client>> create(std::string_view authorities);
  ~Client();
  // The session ends in kPermission unless the peer's certificate is for `host`, is valid now, and
  // leads to an authority.
  Result<base::Owner<Session>> begin(std::string_view host);

  explicit Client(WOLFSSL_CTX* context) : context_(context) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

 private:
  WOLFSSL_CTX* context_;
};

class Session {
 public:
  enum class Role : u8 { kServer, kClient };

  ~Session();
  // Takes all bytes of the peer. To be called while hungry().
  Result<void> receive(std::string_view bytes);
  bool hungry() const { return in_at_ == in_.size(); }
  // Goes on with the handshake, which read() and write() do, too. kBusy: more must be received, or
  // sent, first.
  Result<void> shake_hands();
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

  Session(WOLFSSL* session, Role role) : session_(session), role_(role) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  friend class Server;
  friend class Client;
  static Result<base::Owner<Session>> begin(WOLFSSL_CTX* context, Role role);
  static int take_input(WOLFSSL*, char* to, int most, void* argument);
  static int give_output(WOLFSSL*, char* from, int bytes, void* argument);
  Result<usize> result_of(int returned);

  Ledger ledger_;
  WOLFSSL* session_;
  Role role_;
  Vector<char> in_, out_;
  usize in_at_ = 0, out_at_ = 0;
  bool established_ = false, failed_ = false;
};

}  // namespace net::tls
