// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes, cut anywhere: a connection answers, waits or closes, and says the same however cut.
#include "kernel/base/format.h"
#include "kernel/net/http_connection.h"

namespace {

struct Handler final : net::HttpHandler {
  String seen;
  void on_head(net::HttpConnection& c, const net::HttpRequest& r) override {
    base::StringWriter out(seen);
    base::format_to(out, "({})", r.path);
    ASSERT(r.body.empty());
    if (r.path == "/r") c.respond(401, "text/plain", "no");
  }
  void on_request(net::HttpConnection& c, const net::HttpRequest& r) override {
    base::StringWriter out(seen);
    base::format_to(out, "{} {} {} {}\n", r.method, r.path, r.body, r.headers.size());
    if (r.path == "/s") {
      c.begin_stream(200, "text/plain");
      c.send(r.body);
      return c.end_stream();
    }
    c.respond(200, "text/plain", r.header("x"));
  }
  void on_bad_request(net::HttpConnection& c, int status, const char* problem) override {
    base::StringWriter out(seen);
    base::format_to(out, "{}\n", status);
    c.respond(status, "text/plain", problem);
  }
  void on_gone(net::HttpConnection&) override {}
};

String run(std::string_view bytes, usize step) {
  net::HttpTimes times;
  base::Budget bodies(2048);
  Handler handler;
  net::HttpConnection connection({.body_bytes = 4096}, times, bodies, handler, 0);
  for (usize at = 0; at < bytes.size(); at += step) connection.receive(bytes.substr(at, step), 0);
  return std::move(handler.seen);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  String whole = run(bytes, size + 1);
  ASSERT(run(bytes, 1).view() == whole.view());
  ASSERT(run(bytes, 1 + size / 3).view() == whole.view());
  return 0;
}
