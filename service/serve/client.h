// SPDX-License-Identifier: GPL-2.0-or-later
// One client of the API server: its socket and its HTTP connection. The service owns the answer in
// progress. Client and answer refer to each other (ai::openai::Reply), and either may be destroyed
// first.
//
// pump() and flush() run on the thread "http", one call at a time, and never wait. Nothing that the
// service calls here leads back into the service, so a client may be destroyed whenever neither of
// the two is on the stack.
#pragma once

#include "ai/openai/service.h"
#include "kernel/net/http_connection.h"
#include "kernel/net/socket.h"

namespace service {

class ServeClient final : public ai::openai::Reply, public net::HttpHandler {
 public:
  // With `only_secure`, requests in plain text are refused. The references must outlive the client.
  ServeClient(base::Owner<net::Socket> socket, ai::openai::Service& service,
              const net::HttpLimits& limits, const net::HttpTimes& times, base::Budget& bodies,
              u64 now_ns, bool only_secure)
      : socket_(std::move(socket)),
        service_(service),
        connection_(limits, times, bodies, *this, now_ns),
        only_secure_(only_secure) {}

  // Reads and writes what the socket allows now. Returns false if nothing moved.
  bool pump(u64 now_ns);
  // Writes what is waiting, and handles requests that waited for an answer to end.
  void flush(u64 now_ns);
  bool finished() const { return connection_.finished(); }
  std::string_view peer() const { return socket_->peer(); }
  u64 waiting_since() const { return connection_.waiting_since(); }

  // ---- ai::openai::Reply
  void respond(int status, std::string_view type, std::string_view body,
               std::span<const base::HttpHeader> headers) override {
    connection_.respond(status, type, body, headers);
  }
  void begin_stream(int status, std::string_view type,
                    std::span<const base::HttpHeader> headers) override {
    connection_.begin_stream(status, type, headers);
  }
  void send(std::string_view text) override { connection_.send(text); }
  void end() override { connection_.end_stream(); }

  // ---- net::HttpHandler
  void on_head(net::HttpConnection& connection, const net::HttpRequest& head) override;
  void on_request(net::HttpConnection& connection, const net::HttpRequest& request) override;
  void on_bad_request(net::HttpConnection& connection, int status, const char* problem) override;
  void on_gone(net::HttpConnection& connection) override;

 private:
  bool write_some(u64 now_ns);

  base::Owner<net::Socket> socket_;
  ai::openai::Service& service_;
  net::HttpConnection connection_;
  bool shut_down_ = false;
  bool only_secure_;
};

}  // namespace service
