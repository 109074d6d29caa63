// SPDX-License-Identifier: GPL-2.0-or-later
// A NetDevice as one of lwIP's interfaces: frames both ways, link changes, addresses.
#pragma once

#include <lwip/netif.h>

#include <array>

#include "kernel/base/memory.h"
#include "kernel/dev/net_device.h"
#include "kernel/net/settings.h"

struct tcp_pcb;

namespace net {

class Interface final : public FrameSink {
 public:
  explicit Interface(NetDevice& device) : device_(device) {}

  // Once, at an address that stays: brings the interface up and asks for what `settings` say.
  // `host_name` is kept.
  Result<void> open(const Ipv4Settings& settings, const char* host_name);
  // Takes frames, sends those that waited for room, notices the link. True: call again soon.
  bool service();
  // The link only: devices need not wake anybody for it.
  void check_link();

  NetDevice& device() { return device_; }
  const netif& state() const { return netif_; }
  void describe(base::Writer& out);
  void on_address_change();

  void on_frame(std::span<const Byte> frame) override;

  // Between the two, the last acknowledgement is kept back: the next may make it needless.
  void hold(bool may_join);
  void release();

  u64 frames_refused() const { return refused_; }  // for want of memory or room

 private:
  static err_t setup(netif* card);
  static err_t link_output(netif* card, pbuf* packet);
  Result<void> send(pbuf& packet);
  err_t send_or_wait(pbuf& packet);
  void send_kept();
  void send_waiting();

  static constexpr usize kWaiting = 128;  // frames that a full ring refused
  static constexpr u32 kMostSpared = 16;  // acknowledgements in a row: a peer's clock are those

  NetDevice& device_;
  Ipv4Settings settings_;
  netif netif_{};
  std::array<pbuf*, kWaiting> waiting_{};
  usize first_waiting_ = 0, waiting_count_ = 0;
  pbuf* kept_ = nullptr;  // an acknowledgement
  u32 spared_ = 0, held_ = 0;
  u64 refused_ = 0;
  IpAddress told_{};  // the address last logged
};

// A segment had to be sent again.
void note_loss();
// A program's bytes are about to leave: from now on an answer is expected.
void before_output(tcp_pcb& pcb);

// While it lives, every card may keep a frame back for the next: around what sends many.
class SendTogether {
 public:
  SendTogether();
  ~SendTogether();
  SendTogether(const SendTogether&) = delete;
  SendTogether& operator=(const SendTogether&) = delete;
};

}  // namespace net
