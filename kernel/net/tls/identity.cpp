// SPDX-License-Identifier: GPL-2.0-or-later
// Makes a key on curve P-256 and a self-signed certificate. RFC 5280.
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>

#include <algorithm>

#include "kernel/base/wipe.h"
#include "kernel/net/settings.h"
#include "kernel/net/tls/tls.h"
#include "kernel/time/wall_clock.h"

namespace net::tls {
namespace {

constexpr int kKeyBytes = 32;  // P-256
constexpr u64 kDayNs = u64{86'400} * 1'000'000'000;
constexpr u64 kValidDays = 825;  // the longest that Apple's systems accept
constexpr u8 kDnsName = 0x82, kIpAddress = 0x87, kSequence = 0x30, kUtcTime = 0x17;
constexpr usize kPemBytes = 8192;
constexpr usize kDateDigits = 13;  // "YYMMDDhhmmssZ"

// Objects that wolfSSL needs, released at the end of the scope.
struct Tools {
  WC_RNG random{};
  ecc_key key{};
  Cert* certificate = nullptr;
  bool random_ready = false, key_ready = false;
  Tools() = default;
  Tools(const Tools&) = delete;
  Tools& operator=(const Tools&) = delete;
  ~Tools() {
    if (key_ready) wc_ecc_free(&key);
    if (random_ready) wc_FreeRng(&random);
    base::wipe(&key, sizeof key);
    marrow_tls_free(certificate);
  }
};

// Writes one DER element with a length of one byte.
bool put(std::span<Byte> out, usize& at, u8 tag, std::span<const Byte> value) {
  if (value.size() > 127 || at + 2 + value.size() > out.size()) return false;
  out[at] = tag;
  out[at + 1] = static_cast<Byte>(value.size());
  std::copy(value.begin(), value.end(), out.begin() + static_cast<long>(at + 2));
  at += 2 + value.size();
  return true;
}

std::span<const Byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}

// Writes GeneralNames (RFC 5280, 4.2.1.6). Names that do not fit are left out.
void put_names(Cert& certificate, const IdentityNames& names) {
  Byte list[512];
  usize at = 0;
  char local[80];
  std::string_view dotted = base::format_into(local, "{}.local", names.host);
  for (std::string_view name : {names.host, dotted, std::string_view("localhost")})
    put(list, at, kDnsName, bytes_of(name));
  constexpr Byte kLoopback6[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  constexpr Byte kLoopback[4] = {127, 0, 0, 1};
  put(list, at, kIpAddress, kLoopback);
  put(list, at, kIpAddress, kLoopback6);
  for (std::string_view text : names.addresses) {
    Result<IpAddress> address = parse_ipv4(text);
    if (!address.has_value() || text == "127.0.0.1") continue;
    put(list, at, kIpAddress, std::span(address->bytes).first(4));
  }
  Byte* out = certificate.altNames;
  usize head = 2;
  out[0] = kSequence;
  if (at <= 127) {
    out[1] = static_cast<Byte>(at);
  } else {  // the long form, with two bytes of length
    out[1] = 0x82;
    out[2] = static_cast<Byte>(at >> 8);
    out[3] = static_cast<Byte>(at);
    head = 4;
  }
  std::copy_n(list, at, out + head);
  certificate.altNamesSz = static_cast<int>(head + at);
}

// `text` has the form "2026-11-21 14:05:09".
int put_date(std::span<Byte> out, std::string_view text) {
  char digits[kDateDigits];
  usize n = 0;
  for (char c : text.substr(2))
    if (c >= '0' && c <= '9' && n < kDateDigits - 1) digits[n++] = c;
  digits[n++] = 'Z';
  usize at = 0;
  return put(out, at, kUtcTime, bytes_of({digits, n})) ? static_cast<int>(at) : 0;
}

void put_dates(Cert& certificate, u64 unix_now) {
  char from[32] = "2025-01-01 00:00:00", until[32] = "2049-12-31 23:59:59";
  std::string_view begin = from, end = until;
  if (unix_now != 0) {
    u64 now = unix_now * 1'000'000'000;
    begin = timing::format_utc(from, now - kDayNs);
    end = timing::format_utc(until, now + (kValidDays - 1) * kDayNs);
  }
  certificate.beforeDateSz = put_date(certificate.beforeDate, begin.substr(0, 19));
  certificate.afterDateSz = put_date(certificate.afterDate, end.substr(0, 19));
}

Result<void> make_key(Tools& tools) {
  if (wc_InitRng(&tools.random) != 0)
    return fail(Errc::kUnsupported,
                "this machine has no random numbers that are good enough for secrets");
  tools.random_ready = true;
  if (wc_ecc_init(&tools.key) != 0) return fail(Errc::kOutOfMemory, "out of memory");
  tools.key_ready = true;
  if (wc_ecc_make_key_ex(&tools.random, kKeyBytes, &tools.key, ECC_SECP256R1) != 0)
    return fail(Errc::kUnsupported, "no key could be made");
  return {};
}

Result<void> append_pem(String& out, std::span<const Byte> der, int type) {
  char pem[4096];
  int size = wc_DerToPem(der.data(), static_cast<word32>(der.size()), reinterpret_cast<byte*>(pem),
                         sizeof pem, type);
  if (size <= 0) return fail(Errc::kFull, "the certificate is too long");
  Result<void> done = out.append({pem, static_cast<usize>(size)});
  base::wipe(pem);
  return done;
}

}  // namespace

Result<String> make_identity(const IdentityNames& names, u64 unix_now) {
  if (names.host.empty() || names.host.size() > 63)
    return fail(Errc::kInvalidArgument, "a host name has 1 to 63 letters");
  Tools tools;
  TRY(make_key(tools));
  tools.certificate = static_cast<Cert*>(marrow_tls_allocate(sizeof(Cert)));
  if (tools.certificate == nullptr) return fail(Errc::kOutOfMemory, "out of memory");
  Cert& certificate = *tools.certificate;
  wc_InitCert(&certificate);
  std::copy(names.host.begin(), names.host.end(), certificate.subject.commonName);
  certificate.sigType = CTC_SHA256wECDSA;
  certificate.keyUsage = KEYUSE_DIGITAL_SIG;
  certificate.extKeyUsage = EXTKEYUSE_SERVER_AUTH;
  if (wc_SetSubjectKeyIdFromPublicKey_ex(&certificate, ECC_TYPE, &tools.key) != 0 ||
      wc_SetAuthKeyIdFromPublicKey_ex(&certificate, ECC_TYPE, &tools.key) != 0)
    return fail(Errc::kUnsupported, "the key has no name");
  put_names(certificate, names);
  put_dates(certificate, unix_now);
  Byte der[2048];
  int size = wc_MakeCert(&certificate, der, sizeof der, nullptr, &tools.key, &tools.random);
  if (size > 0)
    size = wc_SignCert(certificate.bodySz, CTC_SHA256wECDSA, der, sizeof der, nullptr, &tools.key,
                       &tools.random);
  if (size <= 0) return fail(Errc::kUnsupported, "no certificate could be made");
  String pem;
  TRY(pem.reserve(kPemBytes));  // reserved, so that the text does not move once the key is in it
  TRY(append_pem(pem, {der, static_cast<usize>(size)}, CERT_TYPE));
  Byte key[256];
  size = wc_EccKeyToDer(&tools.key, key, sizeof key);
  if (size <= 0) return fail(Errc::kUnsupported, "the key cannot be written");
  Result<void> done = append_pem(pem, {key, static_cast<usize>(size)}, ECC_PRIVATEKEY_TYPE);
  base::wipe(key, sizeof key);
  TRY(done);
  return pem;
}

}  // namespace net::tls
