// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes between a socket, the HTTP state machine and the API service.
#include "console/serve_client.h"

#include "kernel/time/clock.h"

namespace console {
namespace {

constexpr usize kReadBytes = 16 * 1024;
constexpr u32 kMostReads = 8;  // in one turn: one fast sender must not hold up the others
char read_buffer[kReadBytes];  // threads give way only in known places, none while it is in use

}  // namespace

bool ServeClient::pump(u64 now_ns) {
  bool moved = false;
  for (u32 i = 0; i < kMostReads && connection_.wants_bytes(); i++) {
    Result<usize> n = socket_->read(read_buffer);
    if (!n.has_value()) {
      if (n.error().code != Errc::kBusy) connection_.peer_lost();
      break;
    }
    moved = true;
    if (*n == 0) {
      connection_.peer_closed();
      break;
    }
    connection_.receive({read_buffer, *n}, now_ns);
  }
  usize before = connection_.output_backlog();
  flush(now_ns);
  connection_.tick(now_ns);
  return moved || connection_.output_backlog() != before;
}

void ServeClient::flush(u64 now_ns) {
  socket_->flush();
  while (!connection_.finished() && !connection_.output().empty()) {
    Result<usize> n = socket_->write(connection_.output());
    if (!n.has_value()) {
      if (n.error().code != Errc::kBusy) connection_.peer_lost();
      return;
    }
    connection_.sent(*n, now_ns);
  }
  if (connection_.wants_shutdown() && !shut_down_) {
    shut_down_ = true;
    socket_->shutdown_write();
    connection_.sent(0, now_ns);
  }
}

// ---- answers --------------------------------------------------------------------------------

Result<void> ServeClient::keep_header(std::string_view name, std::string_view value) {
  HeaderPlace place{static_cast<u32>(header_text_.size()), static_cast<u32>(name.size()),
                    static_cast<u32>(value.size())};
  TRY(header_text_.append(name));
  TRY(header_text_.append(value));
  if (!header_places_.push_back(place)) return fail(Errc::kFull, "too many headers");
  return {};
}

void ServeClient::add_header(std::string_view name, std::string_view value) {
  // A header that finds no room is missing from the answer; the answer itself is not at risk.
  if (!keep_header(name, value).has_value()) return;
}

std::span<const net::HttpHeader> ServeClient::headers() {
  header_views_.clear();
  for (const HeaderPlace& p : header_places_) {
    std::string_view text = header_text_.view().substr(p.name_at);
    if (!header_views_.push_back(
            {text.substr(0, p.name_size), text.substr(p.name_size, p.value_size)}))
      break;
  }
  return header_views_.view();
}

void ServeClient::respond(int status, std::string_view type, std::string_view body) {
  exchange_ = nullptr;
  connection_.respond(status, type, body, headers());
}

void ServeClient::begin_stream(int status, std::string_view type) {
  connection_.begin_stream(status, type, headers());
}

void ServeClient::end() {
  exchange_ = nullptr;
  connection_.end_stream();
}

// ---- requests -------------------------------------------------------------------------------

void ServeClient::on_request(net::HttpConnection&, const net::HttpRequest& request) {
  header_text_.clear();
  header_places_.clear();
  if (only_secure_ && !socket_->secure()) {
    connection_.close_after_response();
    service_.respond_bad_http(*this, 400, "this server is reached by https:// only");
    return;
  }
  StaticVector<ai::openai::Header, 100> list;
  for (const net::HttpHeader& h : request.headers)
    if (!list.push_back({h.name, h.value})) break;
  ai::openai::Incoming incoming{.method = request.method,
                                .path = request.path,
                                .query = request.query,
                                .headers = list.view(),
                                .body = request.body,
                                .peer = socket_->peer()};
  ai::openai::Exchange* exchange = service_.handle(incoming, *this);
  // The answer may have been given meanwhile, then there is nobody to remember.
  exchange_ = connection_.answering() ? exchange : nullptr;
}

void ServeClient::on_bad_request(net::HttpConnection&, int status, const char* problem) {
  header_text_.clear();
  header_places_.clear();
  service_.respond_bad_http(*this, status, problem);
}

void ServeClient::on_gone(net::HttpConnection&) {
  if (exchange_ == nullptr) return;
  ai::openai::Exchange* exchange = exchange_;
  exchange_ = nullptr;
  service_.gone(exchange);
}

}  // namespace console
