// SPDX-License-Identifier: GPL-2.0-or-later
// A network for tests of clients: each connection plays the next answer of a list.
#pragma once

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "kernel/net/socket.h"
#include "tests/hosted/test_threads.h"

namespace scripted {

struct Answer {
  enum class End : u8 { kClose, kReset, kSilence };
  std::string text;
  End end = End::kClose;
  usize step = 1000;    // bytes of one read
  bool refuse = false;  // nobody listens
};

class Network final : public net::Network {
 public:
  Network() : before_(net::network()) {
    test_threads::start();
    net::set_network(this);
  }
  ~Network() { net::set_network(before_); }
  Network(const Network&) = delete;

  std::deque<Answer> answers;
  std::vector<std::string> requests;  // as they were received, the newest one last
  std::vector<std::string> names;     // that were looked up

  Result<net::Addresses> resolve(std::string_view name, u64) override {
    names.emplace_back(name);
    if (name == "nowhere") return fail(Errc::kNotFound, "no such name");
    net::Addresses addresses;
    static_cast<void>(addresses.push_back(MUST(net::parse_ipv4("192.0.2.1"))));
    return addresses;
  }
  Result<base::Owner<net::Socket>> connect(const net::IpAddress&, u16) override {
    if (answers.empty()) return fail(Errc::kIo, "nobody expected this connection");
    requests.emplace_back();
    auto socket = TRY(base::make<Socket>(*this, std::move(answers.front()), requests.size() - 1));
    answers.pop_front();
    return base::Owner<net::Socket>(std::move(socket));
  }
  Result<base::Owner<net::Listener>> listen(std::string_view, u16) override {
    return fail(Errc::kUnsupported, "a client's network");
  }
  void on_activity(void (*)(void*), void*) override {}
  std::string_view address(u32) const override { return ""; }

 private:
  class Socket final : public net::Socket {
   public:
    Socket(Network& network, Answer answer, usize number)
        : network_(network), answer_(std::move(answer)), number_(number) {}
    Result<usize> read(std::span<char> into) override {
      bool asked = network_.requests[number_].ends_with("\r\n\r\n");
      if (!asked) return fail(Errc::kBusy, "nothing to read");
      usize n = std::min({into.size(), answer_.step, answer_.text.size() - at_});
      answer_.text.copy(into.data(), n, at_);
      at_ += n;
      if (n > 0 || answer_.end == Answer::End::kClose) return n;
      return answer_.end == Answer::End::kReset ? fail(Errc::kIo, "the connection was reset")
                                                : fail(Errc::kBusy, "nothing to read");
    }
    Result<usize> write(std::string_view bytes) override {
      if (answer_.refuse) return fail(Errc::kIo, "nobody listens");
      usize n = std::min<usize>(bytes.size(), 100);
      network_.requests[number_].append(bytes.substr(0, n));
      return n;
    }
    void shutdown_write() override {}
    std::string_view peer() const override { return "192.0.2.1:80"; }

   private:
    Network& network_;
    Answer answer_;
    usize number_, at_ = 0;
  };

  net::Network* before_;
};

}  // namespace scripted
