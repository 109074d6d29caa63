// SPDX-License-Identifier: GPL-2.0-or-later
// TCP as services use it: non-blocking streams and listeners, and one wake-up for all of them.
//
// Implemented by arch/host/sockets.cpp and by the TCP/IP stack's adapter. For threads; no call
// waits but resolve().
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/containers.h"
#include "kernel/base/memory.h"
#include "kernel/net/settings.h"

namespace net {

class Socket {
 public:
  virtual ~Socket() = default;  // closes
  // Returns the number of bytes read, 0 if the peer has ended its side, or kBusy if there is
  // nothing now.
  virtual Result<usize> read(std::span<char> into) = 0;
  // Returns the number of bytes taken, at least 1, or kBusy if there is no room now.
  virtual Result<usize> write(std::string_view bytes) = 0;
  virtual void shutdown_write() = 0;
  virtual void flush() {}                        // sends more of what write() took
  virtual bool secure() const { return false; }  // nobody on the way can read or change the bytes
  virtual std::string_view peer() const = 0;     // "192.0.2.1:51234"
};

class Listener {
 public:
  virtual ~Listener() = default;
  virtual Result<base::Owner<Socket>> accept() = 0;  // kBusy if no client waits
  virtual u16 port() const = 0;                      // the port in use, even if 0 was requested
};

using Addresses = StaticVector<IpAddress, 8>;

class Network {
 public:
  // `address` is a literal IPv4 or IPv6 address; "" means every address of this machine.
  virtual Result<base::Owner<Listener>> listen(std::string_view address, u16 port) = 0;
  // Returns the addresses of a host's name, the best one first. Waits for name servers until
  // `deadline_ns` of the machine's clock.
  virtual Result<Addresses> resolve(std::string_view name, u64 deadline_ns) = 0;
  // Returns at once. Writing and reading give kBusy until the other side has answered, and then the
  // error if it has refused.
  virtual Result<base::Owner<Socket>> connect(const IpAddress& address, u16 port) = 0;
  // Calls wake(context) when any socket may have news. Like an interrupt handler, it may only wake.
  // Several callers may register.
  virtual void on_activity(void (*wake)(void*), void* context) = 0;
  // Returns addresses to show to people, most useful first, such as "10.0.2.15". "" after the last
  // one.
  virtual std::string_view address(u32 index) const = 0;

 protected:
  ~Network() = default;
};

// Returns the machine's network, or null if there is none. It is set once, when the network comes
// up.
Network* network();
void set_network(Network* network);

}  // namespace net
