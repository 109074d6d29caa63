// SPDX-License-Identifier: GPL-2.0-or-later
// A client for the machine's own server, for stability: HTTP/1.1 over the loopback (RFC 9112).
#include "console/check/stability.h"
#include "kernel/base/json.h"
#include "kernel/net/stack.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "service/serve/server.h"

namespace console {
namespace {

constexpr u64 kNsPerSecond = 1'000'000'000;
constexpr u64 kLookNs = 1'000'000;
constexpr u64 kPatienceNs = 60 * kNsPerSecond;  // long, for an emulated machine on a busy host
constexpr std::string_view kBody =
    R"({"prompt":"The capital of France is","max_tokens":8,"temperature":0})";

// Sends `request` and reads until the server closes the connection.
Result<String> exchange(net::Socket& socket, std::string_view request, Io& io) {
  String answer;
  u64 end = timing::now_ns() + kPatienceNs;
  for (;;) {
    if (timing::now_ns() > end) return fail(Errc::kTimeout, "our own server does not answer");
    if (io.interrupted()) return fail(Errc::kCancelled, "stopped");
    Result<usize> n = fail(Errc::kBusy, "");
    if (!request.empty()) n = socket.write(request);
    if (n.has_value()) request.remove_prefix(*n);
    char piece[1024];
    n = socket.read(piece);
    if (n.has_value() && *n == 0) return answer;
    if (n.has_value()) TRY(answer.append({piece, *n}));
    if (!n.has_value() && n.error().code != Errc::kBusy) return std::unexpected(n.error());
    sched::sleep_ns(kLookNs);
  }
}

}  // namespace

Result<String> ask_own_server(Io& io) {
  if (!service::server_running() || !net::stack_running())
    return fail(Errc::kNotFound, "no server");
  net::IpAddress local = TRY(net::resolve("127.0.0.1", timing::now_ns() + kNsPerSecond));
  auto socket = TRY(net::connect(local, service::server_port()));
  char head[256];
  String request = TRY(String::from(
      base::format_into(head,
                        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                        "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                        kBody.size())));
  TRY(request.append(kBody));
  String answer = TRY(exchange(*socket, request.view(), io));
  std::string_view text = answer.view();
  usize body = text.find("\r\n\r\n");
  if (body == std::string_view::npos) return fail(Errc::kCorrupt, "our own server sent no HTTP");
  // 401 means that the server needs a key, which is an answer, too.
  if (!text.starts_with("HTTP/1.1 200")) return String::from(text.substr(0, text.find('\r')));
  json::Document document = TRY(json::Document::parse(text.substr(body + 4)));
  return String::from(document.root().find("choices").at(0).find("text").text());
}

}  // namespace console
