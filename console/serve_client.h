// SPDX-License-Identifier: GPL-2.0-or-later
// One client of the API server: a socket, its HTTP connection, and the answer under way.
#pragma once

#include "ai/openai/service.h"
#include "kernel/net/http_connection.h"
#include "kernel/net/socket.h"

namespace console {

class ServeClient final : public ai::openai::Reply, public net::HttpHandler {
 public:
  // `only_secure`: requests that come in plain text are refused.
  ServeClient(base::Owner<net::Socket> socket, ai::openai::Service& service,
              const net::HttpLimits& limits, const net::HttpTimes& times, u64 now_ns,
              bool only_secure)
      : socket_(std::move(socket)),
        service_(service),
        connection_(limits, times, *this, now_ns),
        only_secure_(only_secure) {}

  // Reads and writes what the socket allows now. False: nothing moved.
  bool pump(u64 now_ns);
  void flush(u64 now_ns);  // writes only
  bool finished() const { return connection_.finished(); }
  std::string_view peer() const { return socket_->peer(); }
  u64 waiting_since() const { return connection_.waiting_since(); }

  // ---- ai::openai::Reply
  void add_header(std::string_view name, std::string_view value) override;
  void respond(int status, std::string_view type, std::string_view body) override;
  void begin_stream(int status, std::string_view type) override;
  void send(std::string_view text) override { connection_.send(text); }
  void end() override;

  // ---- net::HttpHandler
  void on_request(net::HttpConnection& connection, const net::HttpRequest& request) override;
  void on_bad_request(net::HttpConnection& connection, int status, const char* problem) override;
  void on_gone(net::HttpConnection& connection) override;

 private:
  Result<void> keep_header(std::string_view name, std::string_view value);
  std::span<const net::HttpHeader> headers();

  base::Owner<net::Socket> socket_;
  ai::openai::Service& service_;
  net::HttpConnection connection_;
  ai::openai::Exchange* exchange_ = nullptr;  // answers later
  struct HeaderPlace {
    u32 name_at, name_size, value_size;  // the value follows the name
  };
  String header_text_;
  StaticVector<HeaderPlace, 16> header_places_;
  StaticVector<net::HttpHeader, 16> header_views_;
  bool shut_down_ = false;
  bool only_secure_;
};

}  // namespace console
