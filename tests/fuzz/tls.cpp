// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes into the TLS server: instead of a handshake, or after parts of a real one.
#include <wolfssl/ssl.h>

#include <string>

#include "kernel/base/test.h"
#include "kernel/net/tls/tls.h"

namespace {

struct Wire {
  std::string in, out;
};

int receive(WOLFSSL*, char* to, int most, void* argument) {
  auto& wire = *static_cast<Wire*>(argument);
  usize n = std::min(static_cast<usize>(most), wire.in.size());
  if (n == 0) return WOLFSSL_CBIO_ERR_WANT_READ;
  wire.in.copy(to, n);
  wire.in.erase(0, n);
  return static_cast<int>(n);
}
int send(WOLFSSL*, char* from, int bytes, void* argument) {
  static_cast<Wire*>(argument)->out.append(from, static_cast<usize>(bytes));
  return bytes;
}

net::tls::Server& server() {
  static net::tls::Server& the = *[] {
    wolfSSL_Init();
    Result<String> pem = net::tls::make_identity({"marrow", {}}, 0);
    ASSERT(pem.has_value());
    return net::tls::Server::create(pem->view())->release();
  }();
  return the;
}

WOLFSSL_CTX* client_context(bool newest) {
  auto make = [](WOLFSSL_METHOD* method) {
    WOLFSSL_CTX* context = wolfSSL_CTX_new(method);
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_NONE, nullptr);
    wolfSSL_SetIORecv(context, receive);
    wolfSSL_SetIOSend(context, send);
    wolfSSL_CTX_new_rng(context);
    return context;
  };
  static WOLFSSL_CTX* const contexts[] = {make(wolfTLSv1_2_client_method()),
                                          make(wolfTLSv1_3_client_method())};
  return contexts[newest ? 1 : 0];
}

// False: the session is over.
bool feed(net::tls::Session& session, std::string_view bytes) {
  if (!session.receive(bytes).has_value()) return false;
  char plain[512];
  for (;;) {
    Result<usize> n = session.read(plain);
    if (n.has_value() && *n > 0) continue;
    return !n.has_value() && n.error().code == Errc::kBusy;
  }
}

}  // namespace

// First byte: bit 0 = a real client speaks first, bit 1 = TLS 1.3, bits 2-3 = for how many turns,
// bits 4-7 = where its bytes are damaged by the input, 0 = not. The rest goes to the server.
extern "C" int LLVMFuzzerTestOneInput(const Byte* data, usize size) {
  if (size == 0) return 0;
  u8 how = data[0];
  std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  base::Owner<net::tls::Session> session = std::move(*server().begin());
  bool alive = true;
  if ((how & 1) != 0) {
    Wire wire;
    WOLFSSL* client = wolfSSL_new(client_context((how & 2) != 0));
    wolfSSL_SetIOReadCtx(client, &wire);
    wolfSSL_SetIOWriteCtx(client, &wire);
    for (int turn = 0; turn <= (how >> 2 & 3) && alive; turn++) {
      (void)wolfSSL_connect(client);
      if (usize at = how >> 4; at != 0 && turn == (how >> 2 & 3) && !wire.out.empty())
        for (usize i = 0; i < input.size() && at < wire.out.size(); i++, at += 7)
          wire.out[at] = static_cast<char>(wire.out[at] ^ input[i]);
      alive = feed(*session, wire.out);
      wire.out.clear();
      wire.in += session->output();
      session->sent(session->output().size());
    }
    if (alive && session->established()) (void)session->write("hello");
    wolfSSL_free(client);
  }
  // In two parts, so that records are cut.
  if (alive) alive = feed(*session, input.substr(0, input.size() / 3));
  if (alive) alive = feed(*session, input.substr(input.size() / 3));
  session->goodbye();
  return 0;
}
