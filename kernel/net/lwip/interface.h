// SPDX-License-Identifier: GPL-2.0-or-later
// Connects a NetDevice to lwIP as an interface: frames in both directions, link changes, addresses.
// For threads of CPU 0; nothing here waits.
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

  // Brings the interface up and requests what `settings` say. Called once, on an object that does
  // not move. `host_name` is kept.
  Result<void> open(const Ipv4Settings& settings, const char* host_name);
  // Takes frames, sends those that waited for room, and notices link changes. Returns true if it
  // should be called again soon.
  bool service();
  // Checks only the link, because devices need not report its changes.
  void check_link();

  NetDevice& device() { return device_; }
  const netif& state() const { return netif_; }
  void describe(base::Writer& out);
  void on_address_change();

  void on_frame(std::span<const Byte> frame) override;

  // Between hold() and release() the last acknowledgement is kept back, because the next one may
  // replace it.
  void hold(bool may_join);
  void release();

  u64 frames_refused() const { return refused_; }  // for lack of memory or room

 private:
  static err_t setup(netif* card);
  static err_t link_output(netif* card, pbuf* packet);
  Result<void> send(pbuf& packet);
  err_t send_or_wait(pbuf& packet);
  void send_kept();
  void send_waiting();

  static constexpr usize kWaiting = 128;  // frames that a full ring refused
  // acknowledgements left out in a row; a peer uses them as its clock
  static constexpr u32 kMostSpared = 16;

  NetDevice& device_;
  Ipv4Settings settings_;
  netif netif_{};
  std::array<pbuf*, kWaiting> waiting_{};
  usize first_waiting_ = 0, waiting_count_ = 0;
  pbuf* kept_ = nullptr;  // an acknowledgement that is kept back
  u32 spared_ = 0, held_ = 0;
  u64 refused_ = 0;
  IpAddress told_{};  // the address that was logged last
};

// Called when a segment had to be sent again.
void note_loss();
// Called when a program's bytes are about to be sent, so that an answer is expected from now on.
void before_output(tcp_pcb& pcb);

// While it lives, every card may keep a frame back for the next one. Put around code that sends
// many.
class SendTogether {
 public:
  SendTogether();
  ~SendTogether();
  SendTogether(const SendTogether&) = delete;
  SendTogether& operator=(const SendTogether&) = delete;
};

}  // namespace net
