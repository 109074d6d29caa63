// SPDX-License-Identifier: GPL-2.0-or-later
// Vectors that were made to find mistakes in implementations: Project Wycheproof's, if its files
// are there, and our own in the same form (scripts/gen_crypto_vectors.py), run against the code
// that TLS uses, and against Ed25519, which signs bundles.
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/chacha20_poly1305.h>
#include <wolfssl/wolfcrypt/curve25519.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/rsa.h>
#include <wolfssl/wolfcrypt/signature.h>

#include <string>
#include <vector>

#include "kernel/base/json.h"
#include "kernel/base/test.h"
#include "kernel/crypto/aes_gcm.h"
#include "kernel/crypto/ed25519.h"
#include "tests/hosted/test_files.h"

namespace {

using Bytes = std::vector<Byte>;

Bytes hex(json::Value value) {
  auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  std::string_view text = value.text();
  Bytes out;
  for (usize i = 0; i + 1 < text.size(); i += 2)
    out.push_back(static_cast<Byte>(digit(text[i]) * 16 + digit(text[i + 1])));
  return out;
}

word32 size_of(const Bytes& bytes) {
  return static_cast<word32>(bytes.size());
}

bool flagged(json::Value vector, std::string_view flag) {
  for (json::Value value : vector.find("flags").elements())
    if (value.text() == flag) return true;
  return false;
}

// The code's verdict on a vector.
enum class Said : u8 { kYes, kNo, kOther };  // kOther: yes, with another result than the vector's

// ---- sealed messages -------------------------------------------------------------------------

Said judge(bool opened, const Bytes& got, const Bytes& wanted) {
  return !opened ? Said::kNo : got == wanted ? Said::kYes : Said::kOther;
}

Said aes_gcm(json::Value, json::Value vector) {
  Bytes key = hex(vector.find("key")), nonce = hex(vector.find("iv"));
  Bytes aad = hex(vector.find("aad")), text = hex(vector.find("msg"));
  Bytes sealed = hex(vector.find("ct")), tag = hex(vector.find("tag"));
  crypto::AesKey ready;
  if (!ready.expand(key) || nonce.size() != crypto::kGcmNonceBytes) return Said::kNo;
  auto once = std::span(nonce).first<crypto::kGcmNonceBytes>();
  Bytes out(sealed.size());
  bool opened = crypto::gcm_open(ready, once, aad, sealed, out.data(), tag);
  if (!opened) return out == Bytes(sealed.size()) ? Said::kNo : Said::kOther;
  Bytes again(text.size()), made(crypto::kGcmTagBytes);
  crypto::gcm_seal(ready, once, aad, text, again.data(),
                   std::span(made).first<crypto::kGcmTagBytes>());
  return again == sealed && made == tag ? judge(true, out, text) : Said::kOther;
}

Said chacha20_poly1305(json::Value, json::Value vector) {
  Bytes key = hex(vector.find("key")), nonce = hex(vector.find("iv"));
  Bytes aad = hex(vector.find("aad")), sealed = hex(vector.find("ct"));
  Bytes tag = hex(vector.find("tag")), out(sealed.size());
  if (key.size() != 32 || nonce.size() != 12 || tag.size() != 16) return Said::kNo;
  // wolfSSL takes no null pointers.
  Bytes from = sealed, to = out;
  from.push_back(0), to.push_back(0), aad.push_back(0);
  bool opened =
      wc_ChaCha20Poly1305_Decrypt(key.data(), nonce.data(), aad.data(), size_of(aad) - 1,
                                  from.data(), size_of(sealed), tag.data(), to.data()) == 0;
  to.pop_back();
  return judge(opened, to, hex(vector.find("msg")));
}

// ---- keys of both ------------------------------------------------------------------------------

// As wolfSSL does with the share of a peer; the result must not be zero (RFC 8446, 7.4.2).
Said x25519(json::Value, json::Value vector) {
  Bytes theirs = hex(vector.find("public")), ours = hex(vector.find("private"));
  Bytes out(32);
  curve25519_key mine{}, peer{};
  wc_curve25519_init(&mine);
  wc_curve25519_init(&peer);
  word32 size = size_of(out);
  bool good =
      wc_curve25519_check_public(theirs.data(), size_of(theirs), EC25519_LITTLE_ENDIAN) == 0 &&
      wc_curve25519_import_public_ex(theirs.data(), size_of(theirs), &peer,
                                     EC25519_LITTLE_ENDIAN) == 0 &&
      wc_curve25519_import_private_ex(ours.data(), size_of(ours), &mine, EC25519_LITTLE_ENDIAN) ==
          0 &&
      wc_curve25519_shared_secret_ex(&mine, &peer, out.data(), &size, EC25519_LITTLE_ENDIAN) == 0;
  wc_curve25519_free(&mine);
  wc_curve25519_free(&peer);
  return judge(good, out, hex(vector.find("shared")));
}

// ---- signatures --------------------------------------------------------------------------------

wc_HashType hash_of(json::Value group) {
  return group.find("sha").text() == "SHA-384" ? WC_HASH_TYPE_SHA384 : WC_HASH_TYPE_SHA256;
}

Bytes digest_of(wc_HashType type, const Bytes& message) {
  Bytes out(static_cast<usize>(wc_HashGetDigestSize(type)));
  ASSERT(wc_Hash(type, message.data(), size_of(message), out.data(), size_of(out)) == 0);
  return out;
}

Said ecdsa(json::Value group, json::Value vector) {
  Bytes point = hex(group.find("publicKey").find("uncompressed"));
  Bytes signature = hex(vector.find("sig"));
  Bytes digest = digest_of(hash_of(group), hex(vector.find("msg")));
  ecc_key key{};
  wc_ecc_init(&key);
  int valid = 0;
  bool known = wc_ecc_import_x963(point.data(), size_of(point), &key) == 0;
  ASSERT(known);
  int done = wc_ecc_verify_hash(signature.data(), size_of(signature), digest.data(),
                                size_of(digest), &valid, &key);
  wc_ecc_free(&key);
  return done == 0 && valid == 1 ? Said::kYes : Said::kNo;
}

struct RsaPublic {
  RsaKey key{};
  explicit RsaPublic(json::Value group) {
    Bytes der = hex(group.find("publicKeyDer"));
    word32 at = 0;
    wc_InitRsaKey(&key, nullptr);
    ASSERT(wc_RsaPublicKeyDecode(der.data(), &at, &key, size_of(der)) == 0);
  }
  ~RsaPublic() { wc_FreeRsaKey(&key); }
  RsaPublic(const RsaPublic&) = delete;
  RsaPublic& operator=(const RsaPublic&) = delete;
};

Said rsa_pkcs1(json::Value group, json::Value vector) {
  RsaPublic rsa(group);
  Bytes signature = hex(vector.find("sig"));
  signature.push_back(0);  // wolfSSL takes no null pointers
  Bytes digest = digest_of(hash_of(group), hex(vector.find("msg")));
  Bytes encoded(128);
  encoded.resize(wc_EncodeSignature(encoded.data(), digest.data(), size_of(digest),
                                    wc_HashGetOID(hash_of(group))));
  Bytes plain(512);
  int got = wc_RsaSSL_Verify(signature.data(), size_of(signature) - 1, plain.data(), size_of(plain),
                             &rsa.key);
  if (got < 0) return Said::kNo;
  plain.resize(static_cast<usize>(got));
  return plain == encoded ? Said::kYes : Said::kNo;
}

Said rsa_pss(json::Value group, json::Value vector) {
  RsaPublic rsa(group);
  Bytes signature = hex(vector.find("sig"));
  Bytes digest = digest_of(hash_of(group), hex(vector.find("msg")));
  Bytes plain(512);
  word32 size = size_of(signature);
  signature.push_back(0);
  int got =
      wc_RsaPSS_VerifyCheck(signature.data(), size, plain.data(), size_of(plain), digest.data(),
                            size_of(digest), WC_HASH_TYPE_SHA256, WC_MGF1SHA256, &rsa.key);
  return got > 0 ? Said::kYes : Said::kNo;
}

// ---- signatures of bundles -------------------------------------------------------------------

Said ed25519(json::Value group, json::Value vector) {
  Bytes key = hex(group.find("publicKey").find("pk")), text = hex(vector.find("msg"));
  Bytes signature = hex(vector.find("sig"));
  crypto::Ed25519PublicKey public_key{};
  crypto::Ed25519Signature whole{};
  // Its type gives a signature its length.
  if (key.size() != public_key.size() || signature.size() != whole.size()) return Said::kNo;
  std::ranges::copy(key, public_key.begin());
  std::ranges::copy(signature, whole.begin());
  return crypto::ed25519_verify(public_key, text, whole).has_value() ? Said::kYes : Said::kNo;
}

// ---- files -------------------------------------------------------------------------------------

struct Suite {
  const char* file;
  Said (*check)(json::Value group, json::Value vector);
  u32 least;  // vectors that are judged, so that a change of form is noticed
};

// A group with sizes that the code does not take at all is left out.
bool taken(json::Value group) {
  json::Value nonce = group.find("ivSize"), key = group.find("keySize");
  bool sealed = !group.find("tagSize").text().empty() || nonce.integer().has_value();
  if (!sealed) return true;
  return nonce.integer().value_or(0) == 96 && key.integer().value_or(0) != 192;
}

void check_vector(TestContext& test, const Suite& suite, json::Value group, json::Value vector) {
  std::string_view result = vector.find("result").text();
  Said said = suite.check(group, vector);
  bool zero = flagged(vector, "ZeroSharedSecret");
  bool right = zero                  ? said == Said::kNo
               : result == "valid"   ? said == Said::kYes
               : result == "invalid" ? said == Said::kNo
                                     : said != Said::kOther;  // acceptable: as it likes
  if (right) return;
  char text[200];
  test.report(__FILE__, __LINE__,
              base::format_into(text, "{}: vector {} ({}) is {}, said {}", suite.file,
                                vector.find("tcId").integer().value_or(0),
                                vector.find("comment").text(), result, static_cast<u32>(said)));
}

void check_file(TestContext& test, const std::string& path, const Suite& suite) {
  std::string text;
  if (!read_file(path, text)) return test.skip("vectors are not there: " + path);
  auto document = json::Document::parse(text);
  REQUIRE(document.has_value());
  u32 judged = 0;
  for (json::Value group : document->root().find("testGroups").elements()) {
    if (!taken(group)) continue;
    for (json::Value vector : group.find("tests").elements()) {
      check_vector(test, suite, group, vector);
      judged++;
    }
  }
  EXPECT(judged >= suite.least);
}

void check_wycheproof(TestContext& test, const Suite& suite) {
  wolfSSL_Init();
  check_file(test, shared_path(std::string("suites/wycheproof/") + suite.file), suite);
}

void check_own(TestContext& test, const Suite& suite) {
  wolfSSL_Init();
  check_file(test, std::string("tests/goldens/crypto/") + suite.file, suite);
}

}  // namespace

TEST(tls_wycheproof, aes_gcm) {
  check_wycheproof(test, {"aes_gcm_test.json", aes_gcm, 100});
}
TEST(tls_wycheproof, chacha20_poly1305) {
  check_wycheproof(test, {"chacha20_poly1305_test.json", chacha20_poly1305, 200});
}
TEST(tls_wycheproof, x25519) {
  check_wycheproof(test, {"x25519_test.json", x25519, 500});
}
TEST(tls_wycheproof, ecdsa_p256) {
  check_wycheproof(test, {"ecdsa_secp256r1_sha256_test.json", ecdsa, 400});
}
TEST(tls_wycheproof, ecdsa_p384) {
  check_wycheproof(test, {"ecdsa_secp384r1_sha384_test.json", ecdsa, 400});
}
TEST(tls_wycheproof, ed25519) {
  check_wycheproof(test, {"ed25519_test.json", ed25519, 100});
}
TEST(tls_wycheproof, rsa_pkcs1) {
  check_wycheproof(test, {"rsa_signature_2048_sha256_test.json", rsa_pkcs1, 200});
}
TEST(tls_wycheproof, rsa_pss) {
  check_wycheproof(test, {"rsa_pss_2048_sha256_mgf1_32_test.json", rsa_pss, 100});
}

TEST(tls_hostile, aes_gcm) {
  check_own(test, {"aes_gcm.json", aes_gcm, 60});
}
TEST(tls_hostile, x25519) {
  check_own(test, {"x25519.json", x25519, 20});
}
TEST(tls_hostile, ecdsa_p256) {
  check_own(test, {"ecdsa_p256.json", ecdsa, 40});
}
TEST(tls_hostile, rsa_pkcs1) {
  check_own(test, {"rsa_pkcs1.json", rsa_pkcs1, 20});
}
TEST(tls_hostile, rsa_pss) {
  check_own(test, {"rsa_pss.json", rsa_pss, 15});
}
