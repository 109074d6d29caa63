// SPDX-License-Identifier: GPL-2.0-or-later
// Simulated network cards for tests and fuzzers of the TCP/IP stack: frames travel on a wire that
// may lose, repeat and reorder them, and time passes when the test says so.
#pragma once

#include <array>
#include <deque>
#include <string>
#include <vector>

#include "kernel/net/lwip/sockets.h"
#include "kernel/net/stack.h"

namespace test_net {

u64 now_ns();
void pass_ms(u64 ms);  // and lets the stack's timers see it
// The stack of this process: started by the first call. Packets are allocated one by one, so that
// the address sanitizer sees an overrun of any of them.
void start();

struct Faults {
  u32 lost_permille = 0, repeated_permille = 0, reordered_permille = 0;
};

class Card final : public NetDevice {
 public:
  explicit Card(u8 number, u32 mtu = 1500) : number_(number), mtu_(mtu) {
    name_ = "test" + std::to_string(number);
  }
  void join(Card& other) {
    peer_ = &other;
    other.peer_ = this;
  }
  void set_faults(const Faults& faults) { faults_ = faults; }
  void set_link(bool up) { link_ = up; }
  void set_room(bool room) { room_ = room; }
  void deliver(std::span<const Byte> frame) { inbox_.emplace_back(frame.begin(), frame.end()); }
  const std::vector<Byte>& last_sent() const { return last_sent_; }

  std::string_view name() const override { return name_; }
  std::string_view driver() const override { return "test"; }
  MacAddress mac() const override { return {2, 0, 0, 0, 0, number_}; }
  u32 mtu() const override { return mtu_; }
  bool link_up() const override { return link_; }
  NetCounters counters() const override { return {}; }
  Result<void> transmit(std::span<const Byte> frame) override;
  u32 poll(FrameSink& up, u32 budget) override;
  sched::WaitQueue& events() override { return events_; }

 private:
  bool chance(u32 permille);

  u8 number_;
  u32 mtu_;
  std::string name_;
  Card* peer_ = nullptr;
  Faults faults_;
  bool link_ = true;
  bool room_ = true;
  u64 random_ = 88172645463325252;
  std::deque<std::vector<Byte>> inbox_;
  std::vector<Byte> last_sent_;
  sched::WaitQueue events_;
};

// A UDP packet in IPv4 for a machine whose card has number 1, without a UDP checksum.
struct Udp {
  std::array<Byte, 4> source, target;
  u16 source_port = 0, target_port = 0;
};
std::vector<Byte> udp_frame(const Udp& from, std::span<const Byte> body);

// A machine with one card that listens on a port; for what arrives from nobody in particular.
struct Machine {
  Card card{1};
  base::Owner<net::Listener> listener;

  Machine(std::string_view settings, std::string_view address, u16 port) {
    start();
    ASSERT(net::attach(card, *net::parse_settings(settings)).has_value());
    listener = std::move(*net::lwip_network().listen(address, port));
  }
};

}  // namespace test_net
