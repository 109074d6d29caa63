// SPDX-License-Identifier: GPL-2.0-or-later
// The TLS client against the server of this tree, over buffers: who is trusted, names, dates,
// damage. The certificates are OpenSSL's (`openssl req -x509`, `openssl x509 -req -CA`): an
// authority, a server that it vouches for from November 2026 to August 2029, and another authority.
#include <string>

#include "kernel/base/test.h"
#include "kernel/net/tls/tls.h"
#include "kernel/time/wall_clock.h"
#include "tests/hosted/test_certificates.h"

namespace {

using net::tls::Client;
using net::tls::Server;
using net::tls::Session;
using test_certificates::kAuthority, test_certificates::kIdentity, test_certificates::kStranger;

constexpr u64 kSecond = 1'000'000'000;
constexpr u64 kValid = 1'830'000'000 * kSecond;

// Puts the clock back when it ends.
struct Clock {
  explicit Clock(u64 now) : before(timing::unix_ns()) { timing::set_unix_ns(now); }
  ~Clock() { before == 0 ? timing::forget_unix_time() : timing::set_unix_ns(before); }
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  u64 before;
};

// Moves what waits on one side to the other. Returns false if that side is over.
bool move(Session& from, Session& to, usize damage_at) {
  std::string bytes(from.output());
  from.sent(bytes.size());
  if (damage_at < bytes.size()) bytes[damage_at] ^= 1;
  return bytes.empty() || to.receive(bytes).has_value();
}

// Returns how the client's handshake ends, and moves a text both ways if it succeeds.
Result<void> talk(std::string_view authorities, std::string_view host, u64 now = kValid,
                  usize damage_at = ~usize{0}, std::string_view identity = kIdentity) {
  Clock clock(now);
  base::Owner<Server> server = TRY(Server::create(identity));
  base::Owner<Client> client = TRY(Client::create(authorities));
  base::Owner<Session> near = TRY(client->begin(host)), far = TRY(server->begin());
  char room[64];
  for (u32 round = 0; round < 10 && !near->established(); round++) {
    Result<void> hands = near->shake_hands();
    if (!hands.has_value() && hands.error().code != Errc::kBusy) return hands;
    if (!move(*near, *far, ~usize{0})) break;
    static_cast<void>(far->read(room));
    if (!move(*far, *near, damage_at)) break;
  }
  if (!near->established()) return fail(Errc::kTimeout, "no handshake");
  for (auto [from, to] : {std::pair{near.get(), far.get()}, std::pair{far.get(), near.get()}}) {
    TRY(from->write("hello"));
    move(*from, *to, ~usize{0});
    usize n = TRY(to->read(room));
    if (std::string_view(room, n) != "hello") return fail(Errc::kCorrupt, "other bytes");
  }
  return {};
}

Errc failure(std::string_view authorities, std::string_view host, u64 now = kValid) {
  Result<void> done = talk(authorities, host, now);
  return done.has_value() ? Errc{} : done.error().code;
}

}  // namespace

TEST(tls_client, a_server_that_an_authority_vouches_for) {
  EXPECT(talk(kAuthority, "models.test").has_value());
  EXPECT(talk(kAuthority, "a.wild.test").has_value());
  // Others beside it do no harm, nor does what is no certificate.
  std::string many = std::string(kStranger) + "-----BEGIN CERTIFICATE-----\nAAAA\n" +
                     "-----END CERTIFICATE-----\n" + std::string(kAuthority);
  EXPECT(talk(many, "models.test").has_value());
}

TEST(tls_client, others_are_refused) {
  EXPECT(failure(kStranger, "models.test") == Errc::kPermission);
  EXPECT(failure(kAuthority, "other.test") == Errc::kPermission);
  EXPECT(failure(kAuthority, "ignored") == Errc::kPermission);
  EXPECT(failure(kAuthority, "a.b.wild.test") == Errc::kPermission);
  EXPECT(failure(kAuthority, "models.test.evil") == Errc::kPermission);
  EXPECT(failure("", "models.test") == Errc::kCorrupt);
  EXPECT(failure("-----BEGIN CERTIFICATE-----", "models.test") == Errc::kCorrupt);
}

// Only addresses of a certificate are addresses: neither its DNS names nor its common name.
TEST(tls_client, addresses_of_servers) {
  auto ends = [](std::string_view host) {
    constexpr usize kNoDamage = ~usize{0};
    Result<void> done = talk(test_certificates::kAddressAuthority, host, kValid, kNoDamage,
                             test_certificates::kAddressIdentity);
    return done.has_value() ? Errc{} : done.error().code;
  };
  for (std::string_view host : {"192.0.2.7", "2001:db8::7", "2001:0DB8:0:0:0:0:0:7"})
    EXPECT(ends(host) == Errc{});
  for (std::string_view host : {"192.0.2.8", "192.0.2.9", "1.0.2.9", "192.0.2.99", "2001:db8::8",
                                "192.0.2.70", "models.test"})
    EXPECT(ends(host) == Errc::kPermission);
}

TEST(tls_client, dates_are_checked) {
  EXPECT(failure(kAuthority, "models.test", 1'770'000'000 * kSecond) == Errc::kPermission ||
         failure(kAuthority, "models.test", 1'770'000'000 * kSecond) == Errc::kCorrupt);
  EXPECT(failure(kAuthority, "models.test", 1'900'000'000 * kSecond) == Errc::kPermission);
}

TEST(tls_client, damage_ends_the_handshake) {
  for (usize at : {usize{0}, usize{10}, usize{80}, usize{200}, usize{400}})
    EXPECT(!talk(kAuthority, "models.test", kValid, at).has_value());
}
