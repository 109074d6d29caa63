// SPDX-License-Identifier: GPL-2.0-or-later
// Moves bytes between a client's socket, its HTTP state machine and the API service.
#include "service/serve/client.h"

#include "kernel/base/wipe.h"

namespace service {
namespace {

constexpr usize kReadBytes = 16 * 1024;
// reads in one turn, so that a fast sender does not hold up the others
constexpr u32 kMostReads = 8;
// shared: only the thread "http" reads, and it does not yield while this is in use
char read_buffer[kReadBytes];

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
    base::wipe(read_buffer, *n);
  }
  usize before = connection_.output_backlog();
  flush(now_ns);
  connection_.tick(now_ns);
  return moved || connection_.output_backlog() != before;
}

void ServeClient::flush(u64 now_ns) {
  // Writing may complete an answer. The next pipelined request is then handled, and its answer is
  // written in turn.
  while (write_some(now_ns) && connection_.proceed(now_ns)) {
  }
}

// Writes until the socket takes no more (returns false) or nothing is left (returns true).
bool ServeClient::write_some(u64 now_ns) {
  socket_->flush();
  while (!connection_.finished() && !connection_.output().empty()) {
    Result<usize> n = socket_->write(connection_.output());
    if (!n.has_value()) {
      if (n.error().code != Errc::kBusy) connection_.peer_lost();
      return false;
    }
    connection_.sent(*n, now_ns);
  }
  if (connection_.wants_shutdown() && !shut_down_) {
    shut_down_ = true;
    socket_->shutdown_write();
    connection_.sent(0, now_ns);
  }
  return true;
}

// ---- requests -------------------------------------------------------------------------------

void ServeClient::on_head(net::HttpConnection&, const net::HttpRequest& head) {
  if (only_secure_ && !socket_->secure()) {
    connection_.close_after_response();
    service_.respond_bad_http(*this, 400,
                              "this server accepts https:// only: use https in the address");
    return;
  }
  static_cast<void>(service_.admit(head, socket_->peer(), *this));
}

void ServeClient::on_request(net::HttpConnection&, const net::HttpRequest& request) {
  service_.handle(request, socket_->peer(), *this);
}

void ServeClient::on_bad_request(net::HttpConnection&, int status, const char* problem) {
  service_.respond_bad_http(*this, status, problem);
}

void ServeClient::on_gone(net::HttpConnection&) {
  service_.gone(*this);
}

}  // namespace service
