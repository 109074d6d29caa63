// SPDX-License-Identifier: GPL-2.0-or-later
// Implements servers, clients and sessions with wolfSSL, which reads and writes two buffers.
#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <algorithm>

#include "kernel/base/format.h"
#include "kernel/crypto/entropy.h"
#include "kernel/net/network_list.h"
#include "kernel/net/tls/tls.h"

namespace net::tls {
namespace {

// Only suites with forward secrecy and authenticated encryption, whatever else the client accepts.
// ChaCha20 comes first, because it is faster without vector registers.
constexpr const char* kCiphers =
    "TLS13-CHACHA20-POLY1305-SHA256:TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384";
constexpr word16 kCurves[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1};
constexpr usize kRecordBytes = 16 * 1024;

const byte* bytes_of(std::string_view text) {
  return reinterpret_cast<const byte*>(text.data());
}

Result<crypto::Sha256Digest> fingerprint_of(std::string_view pem) {
  Vector<Byte> der;
  TRY(der.resize(pem.size()));
  int size = wc_CertPemToDer(bytes_of(pem), static_cast<int>(pem.size()), der.data(),
                             static_cast<int>(der.size()), CERT_TYPE);
  if (size <= 0) return fail(Errc::kCorrupt, "the file has no certificate in PEM form");
  crypto::Sha256 hash;
  hash.update(der.view().first(static_cast<usize>(size)));
  return hash.finish();
}

// Sets what servers and clients have in common.
Result<void> set_up(WOLFSSL_CTX* context) {
  if (wolfSSL_CTX_SetMinVersion(context, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS ||
      wolfSSL_CTX_set_cipher_list(context, kCiphers) != WOLFSSL_SUCCESS)
    return fail(Errc::kUnsupported, "TLS could not be set up");
  for (word16 curve : kCurves)
    if (wolfSSL_CTX_UseSupportedCurve(context, curve) != WOLFSSL_SUCCESS)
      return fail(Errc::kUnsupported, "TLS could not be set up");
  // Each session has its own generator, because one that ran out of memory once stays broken.
  Byte probe[32];
  return crypto::entropy(probe);
}

Result<void> use_identity(WOLFSSL_CTX* context, std::string_view pem) {
  const byte* text = bytes_of(pem);
  auto size = static_cast<long>(pem.size());
  if (wolfSSL_CTX_use_PrivateKey_buffer(context, text, size, WOLFSSL_FILETYPE_PEM) !=
      WOLFSSL_SUCCESS)
    return fail(Errc::kUnsupported,
                "no private key in PEM form: P-256, P-384 or RSA of 2048, 3072 or 4096 bits");
  if (wolfSSL_CTX_use_certificate_chain_buffer(context, text, size) != WOLFSSL_SUCCESS)
    return fail(Errc::kUnsupported, "the file has no usable certificate in PEM form");
  if (wolfSSL_CTX_check_private_key(context) != WOLFSSL_SUCCESS)
    return fail(Errc::kInvalidArgument, "the key does not belong to the certificate");
  return {};
}

// Takes each certificate by itself: one that is expired, or of a curve that is not built, costs
// only itself.
u32 trust_all(WOLFSSL_CTX* context, std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----",
                             kEnd = "-----END CERTIFICATE-----";
  u32 trusted = 0;
  for (;;) {
    usize begin = pem.find(kBegin);
    usize end = begin == pem.npos ? pem.npos : pem.find(kEnd, begin);
    if (end == pem.npos) return trusted;
    std::string_view one = pem.substr(begin, end + kEnd.size() + 1 - begin);
    int taken = wolfSSL_CTX_load_verify_buffer(context, bytes_of(one),
                                               static_cast<long>(one.size()), WOLFSSL_FILETYPE_PEM);
    trusted += taken == WOLFSSL_SUCCESS ? 1 : 0;
    pem.remove_prefix(end + kEnd.size());
  }
}

// Writes an address as marrow_tls_address_text() writes those of certificates.
Result<String> address_name(const IpAddress& address) {
  String text;
  base::StringWriter out(text);
  for (usize i = 0; i < (address.v6 ? address.bytes.size() : 4); i++) {
    bool apart = i > 0 && (!address.v6 || i % 2 == 0);
    if (apart) out.write(":");
    if (address.v6)
      base::format_to(out, "{:02x}", address.bytes[i]);
    else
      base::format_to(out, "{}", address.bytes[i]);
  }
  TRY(out.status());
  return text;
}

// Returns what the failure of a handshake means for a person.
Error error_of(int error) {
  struct Cause {
    int error;
    Error told;
  };
  static constexpr Cause kCauses[] = {
      {MEMORY_E, {Errc::kOutOfMemory, "out of memory"}},
      {ASN_NO_SIGNER_E,
       {Errc::kPermission,
        "the server's certificate comes from no authority that is trusted here (tls.ca=)"}},
      {ASN_SELF_SIGNED_E,
       {Errc::kPermission, "the server's certificate is its own: no authority vouches for it"}},
      {DOMAIN_NAME_MISMATCH,
       {Errc::kPermission, "the server's certificate is for another host: check the address"}},
      {ASN_AFTER_DATE_E,
       {Errc::kPermission,
        "the server's certificate has expired, or this machine's clock is wrong"}},
      {ASN_BEFORE_DATE_E,
       {Errc::kPermission,
        "the server's certificate is not valid yet, or this machine's clock is wrong"}},
  };
  for (const Cause& row : kCauses)
    if (row.error == error) return row.told;
  return {Errc::kCorrupt, "TLS failed on this connection"};
}

}  // namespace

// ---- server ---------------------------------------------------------------------------------

Result<base::Owner<Server>> Server::create(std::string_view pem) {
  if (pem.size() > kMiB)
    return fail(Errc::kInvalidArgument, "the file with certificate and key is longer than 1 MiB");
  if (wolfSSL_Init() != WOLFSSL_SUCCESS) return fail(Errc::kUnsupported, "TLS does not start");
  WOLFSSL_CTX* context = wolfSSL_CTX_new(wolfSSLv23_server_method());
  if (context == nullptr) return fail(Errc::kOutOfMemory, "out of memory");
  Result<base::Owner<Server>> server = base::make<Server>(context);
  if (!server.has_value()) {
    wolfSSL_CTX_free(context);
    return server;
  }
  TRY(set_up(context));
  TRY(use_identity(context, pem));
  (*server)->fingerprint_ = TRY(fingerprint_of(pem));
  wolfSSL_SetIORecv(context, Session::take_input);
  wolfSSL_SetIOSend(context, Session::give_output);
  return server;
}

Server::~Server() {
  wolfSSL_CTX_free(context_);
}

Result<base::Owner<Session>> Server::begin() {
  return Session::begin(context_, Session::Role::kServer);
}

// ---- client ---------------------------------------------------------------------------------

Result<base::Owner<Client>> Client::create(std::string_view authorities) {
  if (wolfSSL_Init() != WOLFSSL_SUCCESS) return fail(Errc::kUnsupported, "TLS does not start");
  WOLFSSL_CTX* context = wolfSSL_CTX_new(wolfSSLv23_client_method());
  if (context == nullptr) return fail(Errc::kOutOfMemory, "out of memory");
  Result<base::Owner<Client>> client = base::make<Client>(context);
  if (!client.has_value()) {
    wolfSSL_CTX_free(context);
    return client;
  }
  TRY(set_up(context));
  wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER, nullptr);
  if (trust_all(context, authorities) == 0)
    return fail(Errc::kCorrupt, "the file of tls.ca= has no usable certificate in PEM form");
  wolfSSL_SetIORecv(context, Session::take_input);
  wolfSSL_SetIOSend(context, Session::give_output);
  return client;
}

Client::~Client() {
  wolfSSL_CTX_free(context_);
}

Result<base::Owner<Session>> Client::begin(std::string_view host) {
  base::Owner<Session> session = TRY(Session::begin(context_, Session::Role::kClient));
  Ledger::Use use(session->ledger_);
  Result<IpAddress> address = parse_address(host);
  String name = TRY(address.has_value() ? address_name(*address) : String::from(host));
  TRY(name.push_back('\0'));
  // An address is no name that SNI may have (RFC 6066, 3).
  bool is_name = !address.has_value();
  bool named = !is_name || wolfSSL_UseSNI(session->session_, WOLFSSL_SNI_HOST_NAME, host.data(),
                                          static_cast<word16>(host.size())) == WOLFSSL_SUCCESS;
  if (!named || wolfSSL_check_domain_name(session->session_, name.view().data()) != WOLFSSL_SUCCESS)
    return fail(Errc::kOutOfMemory, "out of memory");
  return session;
}

// ---- session --------------------------------------------------------------------------------

Result<base::Owner<Session>> Session::begin(WOLFSSL_CTX* context, Role role) {
  WOLFSSL* made = wolfSSL_new(context);
  if (made == nullptr) return fail(Errc::kOutOfMemory, "out of memory");
  Result<base::Owner<Session>> session = base::make<Session>(made, role);
  if (!session.has_value()) {
    wolfSSL_free(made);
    return session;
  }
  wolfSSL_SetIOReadCtx(made, session->get());
  wolfSSL_SetIOWriteCtx(made, session->get());
  return session;
}

Session::~Session() {
  Ledger::Use use(ledger_);
  wolfSSL_free(session_);
}

int Session::take_input(WOLFSSL*, char* to, int most, void* argument) {
  auto& self = *static_cast<Session*>(argument);
  usize n = std::min(static_cast<usize>(most), self.in_.size() - self.in_at_);
  if (n == 0) return WOLFSSL_CBIO_ERR_WANT_READ;
  std::copy_n(self.in_.data() + self.in_at_, n, to);
  self.in_at_ += n;
  return static_cast<int>(n);
}

int Session::give_output(WOLFSSL*, char* from, int bytes, void* argument) {
  auto& self = *static_cast<Session*>(argument);
  std::span<const char> record(from, static_cast<usize>(bytes));
  return self.out_.append(record).has_value() ? bytes : WOLFSSL_CBIO_ERR_GENERAL;
}

Result<void> Session::receive(std::string_view bytes) {
  if (hungry()) {
    in_.clear();
    in_at_ = 0;
  }
  return in_.append(std::span(bytes.data(), bytes.size()));
}

void Session::sent(usize bytes) {
  out_at_ += bytes;
  if (out_at_ < out_.size()) return;
  out_at_ = 0;
  out_.clear();
}

Result<usize> Session::result_of(int returned) {
  if (returned > 0) return static_cast<usize>(returned);
  int error = wolfSSL_get_error(session_, returned);
  if (error == WOLFSSL_ERROR_WANT_READ) return fail(Errc::kBusy, "more bytes are needed");
  if (error == WOLFSSL_ERROR_ZERO_RETURN) return usize{0};
  failed_ = true;
  return std::unexpected(error_of(error));
}

Result<void> Session::shake_hands() {
  if (failed_) return fail(Errc::kCorrupt, "TLS failed on this connection");
  if (established_) return {};
  Ledger::Use use(ledger_);
  int returned = role_ == Role::kServer ? wolfSSL_accept(session_) : wolfSSL_connect(session_);
  if (returned != WOLFSSL_SUCCESS) {
    Result<usize> why = result_of(returned);
    if (why.has_value()) return fail(Errc::kCorrupt, "the peer ended the handshake");
    return std::unexpected(why.error());
  }
  established_ = true;
  return {};
}

Result<usize> Session::read(std::span<char> into) {
  TRY(shake_hands());
  Ledger::Use use(ledger_);
  return result_of(wolfSSL_read(session_, into.data(), static_cast<int>(into.size())));
}

Result<usize> Session::write(std::string_view plain) {
  TRY(shake_hands());
  auto size = static_cast<int>(std::min(plain.size(), kRecordBytes));
  Ledger::Use use(ledger_);
  return result_of(wolfSSL_write(session_, plain.data(), size));
}

void Session::goodbye() {
  Ledger::Use use(ledger_);
  // Does not wait for the peer's closing alert.
  if (established_ && !failed_) (void)wolfSSL_shutdown(session_);
}

std::string_view Session::protocol() const {
  return wolfSSL_get_version(session_);
}

std::string_view Session::cipher() const {
  return wolfSSL_get_cipher(session_);
}

}  // namespace net::tls
