// SPDX-License-Identifier: GPL-2.0-or-later
// TCP as services see it: non-blocking streams and listeners, and one wake for all of them.
//
// Implemented by arch/host/sockets.cpp and the TCP/IP stack's adapter. Thread context only.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/memory.h"

namespace net {

class Socket {
 public:
  virtual ~Socket() = default;  // closes
  // Bytes read, 0 when the peer has ended its side; kBusy when there is nothing now.
  virtual Result<usize> read(std::span<char> into) = 0;
  // Bytes taken, at least 1; kBusy when there is no room now.
  virtual Result<usize> write(std::string_view bytes) = 0;
  virtual void shutdown_write() = 0;
  virtual void flush() {}                        // moves on what write() took and the peer has not
  virtual bool secure() const { return false; }  // nobody on the way reads or changes the bytes
  virtual std::string_view peer() const = 0;     // "192.0.2.1:51234"
};

class Listener {
 public:
  virtual ~Listener() = default;
  virtual Result<base::Owner<Socket>> accept() = 0;  // kBusy when nobody waits
  virtual u16 port() const = 0;                      // the one in use, also when 0 was asked for
};

class Network {
 public:
  // `address` is a literal IPv4 or IPv6 address; "" means every address of this machine.
  virtual Result<base::Owner<Listener>> listen(std::string_view address, u16 port) = 0;
  // Calls wake(context), in interrupt style, when any socket may have news. Several may ask.
  virtual void on_activity(void (*wake)(void*), void* context) = 0;
  // Addresses to tell people, most useful first: "10.0.2.15". "" past the last.
  virtual std::string_view address(u32 index) const = 0;

 protected:
  ~Network() = default;
};

// The machine's network, null when there is none. Set once, by whoever brings it up.
Network* network();
void set_network(Network* network);

}  // namespace net
