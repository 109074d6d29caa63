// SPDX-License-Identifier: GPL-2.0-or-later
// A socket whose other end is the test.
#pragma once

#include <memory>
#include <string>

#include "kernel/net/socket.h"

// Bytes for the server, what it answered, the room it has for more, and how the wire ended.
struct Wire {
  std::string in, out;
  usize room = ~usize{0};
  bool ended = false, broken = false, gone = false;
};

class WireSocket final : public net::Socket {
 public:
  explicit WireSocket(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}
  ~WireSocket() override { wire_->gone = true; }
  Result<usize> read(std::span<char> into) override {
    if (wire_->broken) return fail(Errc::kIo, "reset");
    usize n = std::min(into.size(), wire_->in.size());
    if (n == 0 && !wire_->ended) return fail(Errc::kBusy, "nothing");
    wire_->in.copy(into.data(), n);
    wire_->in.erase(0, n);
    return n;
  }
  Result<usize> write(std::string_view bytes) override {
    if (wire_->broken) return fail(Errc::kIo, "reset");
    usize n = std::min(bytes.size(), wire_->room);
    if (n == 0) return fail(Errc::kBusy, "no room");
    if (wire_->room != ~usize{0}) wire_->room -= n;
    wire_->out += bytes.substr(0, n);
    return n;
  }
  void shutdown_write() override {}
  std::string_view peer() const override { return "10.0.0.1:5000"; }

 private:
  std::shared_ptr<Wire> wire_;
};
