// SPDX-License-Identifier: GPL-2.0-or-later
// A network inside one process, in which a connection is a pair of buffers. The machine's server
// listens on it as on any other; tests connect, write, close in the middle, and reset.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "kernel/net/socket.h"

namespace stress {

// One direction of a connection.
struct Pipe {
  static constexpr usize kMostBytes = 64 * 1024;
  std::string bytes;
  bool ended = false;  // the writer writes no more
  bool reset = false;  // the connection is gone
};

// One end of a connection. Both ends share the two pipes.
class PipeSocket final : public net::Socket {
 public:
  PipeSocket(std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out, bool of_server)
      : in_(std::move(in)), out_(std::move(out)), of_server_(of_server) {}
  ~PipeSocket() override;
  Result<usize> read(std::span<char> into) override;
  Result<usize> write(std::string_view bytes) override;
  void shutdown_write() override;
  std::string_view peer() const override { return "127.0.0.1:1"; }
  // Both directions at once, as a packet with RST does.
  void reset();

 private:
  void tell() const;  // the other end has news

  std::shared_ptr<Pipe> in_, out_;
  bool of_server_;
};

class PipeNetwork final : public net::Network {
 public:
  Result<base::Owner<net::Listener>> listen(std::string_view address, u16 port) override;
  // The server that is tested connects to nobody.
  Result<net::Addresses> resolve(std::string_view, u64) override {
    return fail(Errc::kUnsupported, "no names in this network");
  }
  Result<base::Owner<net::Socket>> connect(const net::IpAddress&, u16) override {
    return fail(Errc::kUnsupported, "no way out of this network");
  }
  void on_activity(void (*wake)(void*), void* context) override {
    wake_ = wake;
    context_ = context;
  }
  std::string_view address(u32) const override { return {}; }

  // kNotFound when nobody listens; kFull when too many connections wait to be accepted.
  Result<std::unique_ptr<PipeSocket>> connect_client();
  void wake() const {
    if (wake_ != nullptr) wake_(context_);
  }
  bool listening() const { return listening_; }
  u32 times_closed() const { return times_closed_; }  // listeners that have gone

 private:
  class PipeListener;
  std::deque<base::Owner<net::Socket>> waiting_;
  bool listening_ = false;
  u32 times_closed_ = 0;
  void (*wake_)(void*) = nullptr;
  void* context_ = nullptr;
};

PipeNetwork& pipe_network();

}  // namespace stress
