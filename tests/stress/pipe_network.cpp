// SPDX-License-Identifier: GPL-2.0-or-later
// Implements connections as pairs of buffers.
#include "tests/stress/pipe_network.h"

#include <algorithm>

namespace stress {

PipeNetwork& pipe_network() {
  static PipeNetwork network;
  return network;
}

class PipeNetwork::PipeListener final : public net::Listener {
 public:
  explicit PipeListener(PipeNetwork& network) : network_(network) { network.listening_ = true; }
  ~PipeListener() override {
    network_.waiting_.clear();
    network_.listening_ = false;
    network_.times_closed_++;
  }
  Result<base::Owner<net::Socket>> accept() override {
    if (network_.waiting_.empty()) return fail(Errc::kBusy, "nobody waits");
    base::Owner<net::Socket> socket = std::move(network_.waiting_.front());
    network_.waiting_.pop_front();
    return socket;
  }
  u16 port() const override { return 1; }

 private:
  PipeNetwork& network_;
};

Result<base::Owner<net::Listener>> PipeNetwork::listen(std::string_view, u16) {
  return base::Owner<net::Listener>(TRY(base::make<PipeListener>(*this)).release());
}

Result<std::unique_ptr<PipeSocket>> PipeNetwork::connect_client() {
  constexpr usize kBacklog = 64;
  if (!listening_) return fail(Errc::kNotFound, "nobody listens");
  if (waiting_.size() >= kBacklog) return fail(Errc::kFull, "too many connections wait");
  auto up = std::make_shared<Pipe>(), down = std::make_shared<Pipe>();
  base::Owner<net::Socket> server(TRY(base::make<PipeSocket>(up, down, true)).release());
  waiting_.push_back(std::move(server));
  wake();
  return std::make_unique<PipeSocket>(down, up, false);
}

PipeSocket::~PipeSocket() {
  out_->ended = true;
  in_->reset = true;  // whoever writes to a closed end is told
  tell();
}

void PipeSocket::tell() const {
  if (!of_server_) pipe_network().wake();
}

Result<usize> PipeSocket::read(std::span<char> into) {
  if (in_->reset && !in_->ended) return fail(Errc::kIo, "connection reset");
  if (in_->bytes.empty()) return in_->ended ? Result<usize>(0) : fail(Errc::kBusy, "");
  usize n = std::min(into.size(), in_->bytes.size());
  std::copy_n(in_->bytes.data(), n, into.data());
  in_->bytes.erase(0, n);
  tell();
  return n;
}

Result<usize> PipeSocket::write(std::string_view bytes) {
  if (out_->reset) return fail(Errc::kIo, "connection reset");
  usize n =
      std::min(bytes.size(), Pipe::kMostBytes - std::min(Pipe::kMostBytes, out_->bytes.size()));
  if (n == 0) return fail(Errc::kBusy, "");
  out_->bytes.append(bytes.substr(0, n));
  tell();
  return n;
}

void PipeSocket::shutdown_write() {
  out_->ended = true;
  tell();
}

void PipeSocket::reset() {
  in_->reset = out_->reset = true;
  tell();
}

}  // namespace stress
