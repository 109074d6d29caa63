// SPDX-License-Identifier: GPL-2.0-or-later
// ClientHellos written byte by byte: whatever a client offers, the server chooses a suite that both
// have, or sends an alert.
#include <wolfssl/ssl.h>

#include <string>
#include <vector>

#include "kernel/base/test.h"
#include "kernel/net/tls/tls.h"

namespace {

using net::tls::Server;
using net::tls::Session;

constexpr u16 kScsv = 0x00ff;      // RFC 5746, 3.3
constexpr u16 kChaCha = 0xcca9;    // ECDHE-ECDSA-CHACHA20-POLY1305
constexpr u16 kAes128 = 0xc02b;    // ECDHE-ECDSA-AES128-GCM-SHA256
constexpr u16 kWrongKey = 0xc02f;  // ECDHE-RSA-AES128-GCM-SHA256: the key is of another kind
constexpr u16 kOld = 0x002f;       // RSA-AES128-SHA
constexpr u16 kUnknown = 0x5a5a;   // RFC 8701
constexpr u16 kNewest = 0x1301;    // a suite of TLS 1.3 in a hello that does not offer TLS 1.3
constexpr u8 kHandshake = 22, kAlert = 21, kClientHello = 1, kServerHello = 2, kFatal = 2;

std::string number(usize value, usize bytes) {
  std::string out;
  while (bytes-- > 0) out.push_back(static_cast<char>(value >> (8 * bytes)));
  return out;
}

std::string sized(const std::string& body, usize bytes_of_size) {
  return number(body.size(), bytes_of_size) + body;
}

enum class Extensions : u8 { kNone, kEmpty, kGroups };

std::string record(const std::string& body) {
  std::string message = number(kClientHello, 1) + sized(body, 3);
  return number(kHandshake, 1) + number(0x0301, 2) + sized(message, 2);
}

std::string list_of(const std::vector<u16>& suites) {
  std::string list;
  for (u16 suite : suites) list += number(suite, 2);
  return list;
}

// Up to the suites.
std::string head(u16 version) {
  return number(version, 2) + std::string(32, 'r') + sized("", 1);
}

const std::string kPlain = sized(std::string(1, '\0'), 1);  // no compression

std::string hello(const std::vector<u16>& suites, Extensions extensions) {
  std::string body = head(0x0303) + sized(list_of(suites), 2) + kPlain;
  // supported_groups: X25519; ec_point_formats; signature_algorithms: ECDSA with SHA-256.
  std::string some = number(10, 2) + sized(sized(number(0x001d, 2), 2), 2) + number(11, 2) +
                     sized(sized(std::string(1, '\0'), 1), 2) + number(13, 2) +
                     sized(sized(number(0x0403, 2), 2), 2);
  if (extensions != Extensions::kNone)
    body += sized(extensions == Extensions::kEmpty ? "" : some, 2);
  return record(body);
}

struct Answer {
  bool alert = false;
  u16 suite = 0;  // of a ServerHello
  std::string all;
};

u8 at(const std::string& bytes, usize index) {
  return index < bytes.size() ? static_cast<u8>(bytes[index]) : 0;
}

Answer ask(Server& server, const std::string& bytes) {
  base::Owner<Session> session = std::move(*server.begin());
  ASSERT(session->receive(bytes).has_value());
  char plain[16];
  (void)session->read(plain);
  Answer answer{.alert = false, .suite = 0, .all = std::string(session->output())};
  const std::string& out = answer.all;
  answer.alert = at(out, 0) == kAlert && at(out, 5) == kFatal;
  if (at(out, 0) != kHandshake || at(out, 5) != kServerHello) return answer;
  usize suite = 5 + 4 + 2 + 32 + 1 + at(out, 5 + 4 + 2 + 32);
  answer.suite = static_cast<u16>(at(out, suite) << 8 | at(out, suite + 1));
  return answer;
}

Server& server() {
  static base::Owner<Server> made = [] {
    wolfSSL_Init();
    Result<String> pem = net::tls::make_identity({"marrow", {}}, 1'800'000'000);
    ASSERT(pem.has_value());
    return std::move(*Server::create(pem->view()));
  }();
  return *made;
}

}  // namespace

TEST(tls_hello, gets_a_suite_of_both_or_an_alert) {
  struct Case {
    const char* what;
    std::vector<u16> suites;
    u16 wanted;  // 0: an alert
  };
  const Case cases[] = {
      {"a suite", {kAes128}, kAes128},
      {"a suite and the signal", {kAes128, kScsv}, kAes128},
      {"the signal first", {kScsv, kChaCha}, kChaCha},
      {"ours comes first", {kAes128, kChaCha, kScsv}, kChaCha},
      {"between unknown ones", {kUnknown, kChaCha, kOld}, kChaCha},
      {"nothing", {}, 0},
      {"only the signal", {kScsv}, 0},
      {"the signal twice", {kScsv, kScsv}, 0},
      {"only unknown ones", {kUnknown, 0x0000, 0xffff}, 0},
      {"unknown ones and the signal", {kUnknown, kScsv}, 0},
      {"old ones", {kOld}, 0},
      {"old ones and the signal", {kOld, kScsv}, 0},
      {"of another key", {kWrongKey}, 0},
      {"of another key and the signal", {kWrongKey, kScsv}, 0},
      {"of TLS 1.3", {kNewest}, 0},
      {"of TLS 1.3 and the signal", {kNewest, kScsv}, 0},
  };
  for (Extensions extensions : {Extensions::kNone, Extensions::kEmpty, Extensions::kGroups}) {
    for (const Case& c : cases) {
      Answer answer = ask(server(), hello(c.suites, extensions));
      bool right = c.wanted != 0 ? answer.suite == c.wanted : answer.alert && answer.suite == 0;
      if (right) continue;
      char text[160];
      test.report(
          __FILE__, __LINE__,
          base::format_into(text, "{}, extensions {}: suite {:04x}, an answer of {} bytes", c.what,
                            static_cast<u32>(extensions), u32{answer.suite}, answer.all.size()));
    }
  }
}

TEST(tls_hello, that_cannot_be_read_or_is_too_old_gets_an_alert) {
  std::string good = list_of({kAes128, kScsv}), odd = good + '\0';
  const std::string bad[] = {
      record(head(0x0303) + sized(odd, 2) + kPlain),            // half a suite
      record(head(0x0303) + number(200, 2) + good + kPlain),    // suites that leave the message
      record(head(0x0303) + sized(good, 2)),                    // no word about compression
      record(head(0x0303) + sized(good, 2) + sized("", 1)),     // not even none
      record(head(0x0303) + sized(good, 2) + kPlain + "\1"),    // half a length of extensions
      record(head(0x0303) + sized(good, 2) + kPlain + "\1\1"),  // extensions that are not there
      record(head(0x0302) + sized(good, 2) + kPlain),           // TLS 1.1
      record(head(0x0301) + sized(good, 2) + kPlain),           // TLS 1.0
      record(head(0x0300) + sized(good, 2) + kPlain),           // SSL 3
  };
  for (const std::string& bytes : bad) {
    Answer answer = ask(server(), bytes);
    auto which = static_cast<usize>(&bytes - bad);
    char text[80];
    if (!answer.alert)
      test.report(__FILE__, __LINE__, base::format_into(text, "no alert for hello {}", which));
  }
}
