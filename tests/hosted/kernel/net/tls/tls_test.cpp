// SPDX-License-Identifier: GPL-2.0-or-later
// The TLS server against wolfSSL's own client, over buffers: handshakes, damage, want of memory.
#include <wolfssl/ssl.h>

#include <string>

#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "kernel/crypto/entropy.h"
#include "kernel/net/tls/tls.h"

namespace {

using net::tls::Server;
using net::tls::Session;

// The other end. What it sends waits in `out`; what it is to read is put into `in`.
struct Client {
  WOLFSSL* session = nullptr;
  std::string in, out;

  // Seeding a generator takes a while: sessions of one protocol share theirs.
  static WOLFSSL_CTX* context(bool newest) {
    static WOLFSSL_CTX* contexts[2];
    WOLFSSL_CTX*& made = contexts[newest ? 1 : 0];
    if (made != nullptr) return made;
    made = wolfSSL_CTX_new(newest ? wolfTLSv1_3_client_method() : wolfTLSv1_2_client_method());
    wolfSSL_CTX_set_verify(made, WOLFSSL_VERIFY_NONE, nullptr);
    wolfSSL_SetIORecv(made, receive);
    wolfSSL_SetIOSend(made, send);
    wolfSSL_CTX_new_rng(made);
    return made;
  }

  explicit Client(bool newest) {
    session = wolfSSL_new(context(newest));
    wolfSSL_SetIOReadCtx(session, this);
    wolfSSL_SetIOWriteCtx(session, this);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { wolfSSL_free(session); }

  static int receive(WOLFSSL*, char* to, int most, void* argument) {
    auto& self = *static_cast<Client*>(argument);
    usize n = std::min(static_cast<usize>(most), self.in.size());
    if (n == 0) return WOLFSSL_CBIO_ERR_WANT_READ;
    self.in.copy(to, n);
    self.in.erase(0, n);
    return static_cast<int>(n);
  }
  static int send(WOLFSSL*, char* from, int bytes, void* argument) {
    static_cast<Client*>(argument)->out.append(from, static_cast<usize>(bytes));
    return bytes;
  }
};

const std::string& identity() {
  static const std::string pem = [] {
    wolfSSL_Init();
    const std::string_view addresses[] = {"10.0.2.15"};
    Result<String> made = net::tls::make_identity({"marrow", addresses}, 1'800'000'000);
    ASSERT(made.has_value());
    return std::string(made->view());
  }();
  return pem;
}

// Moves what waits on either side to the other, `step` bytes at a time.
void exchange(Client& client, Session& server, usize step) {
  char plain[256];
  for (u32 round = 0; round < 20; round++) {
    if (int done = wolfSSL_connect(client.session);
        done != WOLFSSL_SUCCESS &&
        wolfSSL_get_error(client.session, done) != WOLFSSL_ERROR_WANT_READ)
      return;
    std::string to_server = std::exchange(client.out, {});
    for (usize at = 0; at < to_server.size(); at += step) {
      if (!server.receive(std::string_view(to_server).substr(at, step)).has_value()) return;
      if (Result<usize> n = server.read(plain); !n.has_value() && n.error().code != Errc::kBusy)
        return;
    }
    client.in += server.output();
    server.sent(server.output().size());
  }
}

std::string read_all(Session& server) {
  std::string text;
  char part[512];
  while (Result<usize> n = server.read(part)) {
    if (*n == 0) break;
    text.append(part, *n);
  }
  return text;
}

void speaks(bool newest, std::string_view protocol, usize step, const char* suite = nullptr) {
  base::Owner<Server> server = std::move(*Server::create(identity()));
  base::Owner<Session> session = std::move(*server->begin());
  Client client(newest);
  if (suite != nullptr) ASSERT(wolfSSL_set_cipher_list(client.session, suite) == WOLFSSL_SUCCESS);
  exchange(client, *session, step);
  ASSERT(session->established());
  ASSERT(session->protocol() == protocol);
  // A long text there and back, many records.
  std::string text(100'000, 'x');
  for (usize i = 0; i < text.size(); i += 7) text[i] = static_cast<char>('a' + i % 26);
  ASSERT(wolfSSL_write(client.session, text.data(), static_cast<int>(text.size())) ==
         static_cast<int>(text.size()));
  ASSERT(session->receive(std::exchange(client.out, {})).has_value());
  ASSERT(read_all(*session) == text);
  for (usize at = 0; at < text.size();) at += *session->write(std::string_view(text).substr(at));
  client.in += session->output();
  session->sent(session->output().size());
  std::string back(text.size(), '\0');
  usize got = 0;
  while (got < back.size()) {
    int n = wolfSSL_read(client.session, back.data() + got, static_cast<int>(back.size() - got));
    if (n <= 0) break;
    got += static_cast<usize>(n);
  }
  ASSERT(back == text);
  session->goodbye();
  ASSERT(!session->output().empty());
}

}  // namespace

TEST(tls, speaks_1_3) {
  speaks(true, "TLSv1.3", 4096);
}

TEST(tls, speaks_1_2) {
  speaks(false, "TLSv1.2", 4096);
}

TEST(tls, speaks_every_suite) {
  for (const char* suite :
       {"TLS13-CHACHA20-POLY1305-SHA256", "TLS13-AES128-GCM-SHA256", "TLS13-AES256-GCM-SHA384"})
    speaks(true, "TLSv1.3", 4096, suite);
  for (const char* suite : {"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256",
                            "ECDHE-ECDSA-AES256-GCM-SHA384"})
    speaks(false, "TLSv1.2", 4096, suite);
}

TEST(tls, takes_one_byte_at_a_time) {
  speaks(true, "TLSv1.3", 1);
}

TEST(tls, refuses_older_protocols) {
  base::Owner<Server> server = std::move(*Server::create(identity()));
  for (u8 minor : {0, 1, 2}) {  // SSL 3, TLS 1.0, TLS 1.1
    base::Owner<Session> session = std::move(*server->begin());
    // One suite of the time, no extensions.
    std::string hello = {0x16, 3, static_cast<char>(minor), 0, 45, 1, 0, 0,
                         41,   3, static_cast<char>(minor)};
    hello += std::string(32, 'r') + std::string("\0\0\2\0\x2f\1\0", 7);
    ASSERT(session->receive(hello).has_value());
    char plain[16];
    Result<usize> n = session->read(plain);
    ASSERT(!n.has_value() && n.error().code != Errc::kBusy);
    ASSERT(!session->established());
  }
}

TEST(tls, a_damaged_record_ends_the_session) {
  base::Owner<Server> server = std::move(*Server::create(identity()));
  for (usize at : {usize{0}, usize{4}, usize{5}, usize{20}}) {
    base::Owner<Session> session = std::move(*server->begin());
    Client client(true);
    exchange(client, *session, 4096);
    ASSERT(session->established());
    (void)wolfSSL_write(client.session, "hello hello hello", 17);
    client.out[at] = static_cast<char>(client.out[at] ^ 1);
    ASSERT(session->receive(client.out).has_value());
    char plain[64];
    Result<usize> n = session->read(plain);
    // A longer length only means that more must come.
    ASSERT(!n.has_value() && (at == 4 || n.error().code != Errc::kBusy));
  }
}

TEST(tls, identities_that_are_none) {
  const std::string& good = identity();
  std::string other(net::tls::make_identity({"other", {}}, 0)->view());
  usize key = good.find("-----BEGIN EC");
  ASSERT(key != std::string::npos);
  for (const std::string& bad :
       {std::string(), std::string("nonsense"), good.substr(0, key), good.substr(key),
        good.substr(0, key) + other.substr(other.find("-----BEGIN EC")), good.substr(0, 100)})
    ASSERT(!Server::create(bad).has_value());
  // The key may come first.
  ASSERT(Server::create(good.substr(key) + good.substr(0, key)).has_value());
  ASSERT((*Server::create(good))->fingerprint() == (*Server::create(good))->fingerprint());
  ASSERT((*Server::create(good))->fingerprint() != (*Server::create(other))->fingerprint());
}

// The nth allocation fails, for every n: there is a server or there is none, and nothing is kept.
TEST(tls, a_server_that_finds_no_memory_leaves_none_behind) {
  const std::string& pem = identity();
  i64 live = host::live_allocations();
  u32 refused = 0, made_in_a_row = 0;
  for (u64 nth = 1; made_in_a_row < 20; nth++) {
    host::fail_allocation(nth);
    Result<base::Owner<Server>> server = Server::create(pem);
    Result<base::Owner<Session>> session = fail(Errc::kOutOfMemory, "no server");
    if (server.has_value()) session = (*server)->begin();
    host::fail_allocation(0);
    made_in_a_row = session.has_value() ? made_in_a_row + 1 : 0;
    refused += session.has_value() ? 0 : 1;
    session = fail(Errc::kOutOfMemory, "");
    server = fail(Errc::kOutOfMemory, "");
    if (host::live_allocations() == live) continue;
    EXPECT_EQ(host::live_allocations(), live);
    return;
  }
  EXPECT(refused > 20);
}

// wolfSSL 5.5.4 forgets a key share when it finds no memory for the key itself; the session does
// not.
TEST(tls, a_handshake_that_finds_no_memory_fails_alone) {
  base::Owner<Server> server = std::move(*Server::create(identity()));
  u32 refused = 0, served_in_a_row = 0;
  for (u64 nth = 1; served_in_a_row < 20; nth++) {
    Client client(true);
    (void)wolfSSL_connect(client.session);
    i64 live = host::live_allocations();
    base::Owner<Session> session = std::move(*server->begin());
    host::fail_allocation(nth);
    bool failed = false;
    Result<void> taken = session->receive(std::exchange(client.out, {}));
    char plain[64];
    failed = !taken.has_value() || session->read(plain).error().code != Errc::kBusy;
    host::fail_allocation(0);
    served_in_a_row = failed ? 0 : served_in_a_row + 1;
    refused += failed ? 1 : 0;
    session = nullptr;
    REQUIRE(host::live_allocations() == live);
  }
  EXPECT(refused > 20);
}

TEST(tls, sources_of_chance_are_judged) {
  crypto::HealthTest stuck(4), alive(4), poor(4);
  for (u32 i = 0; i < 100; i++) {
    stuck.add(i < 50 ? i : 50);
    alive.add(i / 3);
    poor.add(i < 3 ? 0 : 1 + (i % 2 == 0 ? 1 : 0) * (i < 6 ? 1 : 0));
  }
  ASSERT(!stuck.healthy());
  ASSERT(alive.healthy());
  ASSERT(!poor.healthy());
  Byte one[48], two[48];
  ASSERT(crypto::entropy(one).has_value() && crypto::entropy(two).has_value());
  ASSERT(!std::equal(one, one + 48, two));
}
