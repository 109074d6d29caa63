// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes from a server into the TLS client: instead of a handshake, or as damage to a real one.
// Only the certificate that is trusted may lead to a session.
#include <string>

#include "kernel/base/test.h"
#include "kernel/net/tls/tls.h"
#include "kernel/time/wall_clock.h"
#include "tests/hosted/test_certificates.h"

namespace {

using net::tls::Session;

constexpr u64 kValid = 1'830'000'000'000'000'000;  // when the certificate is

net::tls::Client& client() {
  static net::tls::Client& the =
      *net::tls::Client::create(test_certificates::kAuthority)->release();
  return the;
}

net::tls::Server& server() {
  static net::tls::Server& the = *net::tls::Server::create(test_certificates::kIdentity)->release();
  return the;
}

// Returns false once the session is over.
bool feed(Session& session, std::string_view bytes) {
  if (!session.receive(bytes).has_value()) return false;
  char plain[512];
  for (;;) {
    Result<usize> n = session.read(plain);
    if (n.has_value() && *n > 0) continue;
    return !n.has_value() && n.error().code == Errc::kBusy;
  }
}

// Lets the real server answer, with one byte changed if `damage` is not 0.
bool answer(Session& near, Session& far, usize damage) {
  std::string hello(near.output());
  near.sent(hello.size());
  char plain[64];
  if (!far.receive(hello).has_value()) return false;
  static_cast<void>(far.read(plain));
  std::string back(far.output());
  far.sent(back.size());
  if (damage > 0 && !back.empty()) back[damage * 251 % back.size()] ^= 0x55;
  return back.empty() || feed(near, back);
}

}  // namespace

// First byte: bits 0-1 = turns of a real server, bits 2-7 = which byte of its last turn is changed,
// 0 = none. The rest comes behind.
extern "C" int LLVMFuzzerTestOneInput(const Byte* data, usize size) {
  if (size == 0) return 0;
  timing::set_unix_ns(kValid);
  usize turns = data[0] & 3, damage = data[0] >> 2;
  std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  base::Owner<Session> near = MUST(client().begin("models.test"));
  base::Owner<Session> far = MUST(server().begin());
  bool alive = true;
  char plain[64];
  static_cast<void>(near->read(plain));  // writes the hello
  for (usize turn = 1; turn <= turns && alive; turn++)
    alive = answer(*near, *far, turn == turns ? damage : 0);
  ASSERT(!near->established() || turns > 0);
  if (alive && !input.empty()) static_cast<void>(feed(*near, input));
  near->goodbye();
  return 0;
}
