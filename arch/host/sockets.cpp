// SPDX-License-Identifier: GPL-2.0-or-later
// Implements net::Network with the host's sockets. One edge-triggered epoll descriptor represents
// all of them in the twin's event loop, so that each change of state wakes the services once.
#include "arch/host/sockets.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "arch/host/event_loop.h"
#include "arch/host/names.h"
#include "kernel/base/containers.h"
#include "kernel/base/format.h"

namespace host {
namespace {

struct Shared {
  int epoll = -1;
  struct Wake {
    void (*call)(void*);
    void* context;
  };
  StaticVector<Wake, 8> wakes;
};
Shared shared;

// A woken service looks at every socket, but only sockets with news are worth a system call. This
// tracks which have news.
struct Watched {
  bool may_read = true;
};

void on_ready(void*) {
  constexpr int kMost = 64;
  epoll_event events[kMost];
  for (int n = kMost; n == kMost;) {  // reading the events re-arms them
    n = epoll_wait(shared.epoll, events, kMost, 0);
    for (int i = 0; i < n; i++)
      if ((events[i].events & ~u32{EPOLLOUT}) != 0)
        static_cast<Watched*>(events[i].data.ptr)->may_read = true;
  }
  for (const Shared::Wake& wake : shared.wakes) wake.call(wake.context);
}

// The watch ends when its descriptor is closed.
void add_to_epoll(int fd, Watched& watched) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &watched;
  epoll_ctl(shared.epoll, EPOLL_CTL_ADD, fd, &event);
}

Error error_of(int number) {
  switch (number) {
    case EADDRINUSE:
      return {Errc::kBusy, "the port is in use"};
    case EACCES:
      return {Errc::kPermission, "the port needs more rights"};
    case EADDRNOTAVAIL:
      return {Errc::kNotFound, "no such local address"};
    case ECONNREFUSED:
      return {Errc::kIo, "the connection was refused"};
    case ECONNRESET:
    case EPIPE:
      return {Errc::kIo, "the connection was reset"};
    case ENETUNREACH:
    case EHOSTUNREACH:
      return {Errc::kNotFound, "no route to that address"};
    case ETIMEDOUT:
      return {Errc::kTimeout, "no answer in time"};
    case EMFILE:
    case ENFILE:
      return {Errc::kFull, "too many open connections: close some"};
    default:
      return {Errc::kIo, "socket error"};
  }
}

class HostSocket final : public net::Socket, public Watched {
 public:
  HostSocket(int fd, std::string_view peer) : fd_(fd) {
    base::BufferWriter writer(peer_);
    writer.write(peer);
    peer_size_ = writer.view().size();
  }
  ~HostSocket() override { close(fd_); }

  Result<usize> read(std::span<char> into) override {
    if (!may_read) return fail(Errc::kBusy, "nothing to read");
    ssize_t n = recv(fd_, into.data(), into.size(), 0);
    if (n >= 0) return static_cast<usize>(n);
    if (errno == EINTR) return fail(Errc::kBusy, "interrupted");
    if (errno == EAGAIN) {
      may_read = false;
      return fail(Errc::kBusy, "nothing to read");
    }
    return std::unexpected(error_of(errno));
  }
  Result<usize> write(std::string_view bytes) override {
    ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) return static_cast<usize>(n);
    if (n == 0 || errno == EAGAIN || errno == EINTR) return fail(Errc::kBusy, "no room");
    return std::unexpected(error_of(errno));
  }
  void shutdown_write() override { shutdown(fd_, SHUT_WR); }
  std::string_view peer() const override { return {peer_, peer_size_}; }

 private:
  int fd_;
  char peer_[64];
  usize peer_size_;
};

class HostListener final : public net::Listener, public Watched {
 public:
  HostListener(int fd, u16 port) : fd_(fd), port_(port) {}
  ~HostListener() override { close(fd_); }

  Result<base::Owner<net::Socket>> accept() override {
    if (!may_read) return fail(Errc::kBusy, "nobody waits");
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    int fd =
        accept4(fd_, reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) return std::unexpected(error_of(errno));
    if (fd < 0) {
      may_read = errno != EAGAIN;
      return fail(Errc::kBusy, "nobody waits");
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    char text[INET6_ADDRSTRLEN] = "?";
    u16 port = 0;
    if (address.ss_family == AF_INET) {
      auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
      inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
      port = ntohs(v4->sin_port);
    } else {
      auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
      inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
      port = ntohs(v6->sin6_port);
    }
    char peer[64];
    auto made = base::make<HostSocket>(fd, base::format_into(peer, "{}:{}", text, port));
    if (!made.has_value()) {
      close(fd);
      return std::unexpected(made.error());
    }
    add_to_epoll(fd, **made);
    return base::Owner<net::Socket>(std::move(*made));
  }
  u16 port() const override { return port_; }

 private:
  int fd_;
  u16 port_;
};

Result<void> need_epoll() {
  if (shared.epoll >= 0) return {};
  shared.epoll = epoll_create1(EPOLL_CLOEXEC);
  return host::watch(shared.epoll, Readiness::kReadable, on_ready, nullptr);
}

// An address as the system's calls take it.
struct SystemAddress {
  explicit SystemAddress(const net::IpAddress& address, u16 port) {
    if (address.v6) {
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(port);
      v6.sin6_scope_id = address.zone;
      std::memcpy(&v6.sin6_addr, address.bytes.data(), sizeof v6.sin6_addr);
      size = sizeof v6;
    } else {
      v4.sin_family = AF_INET;
      v4.sin_port = htons(port);
      std::memcpy(&v4.sin_addr, address.bytes.data(), sizeof v4.sin_addr);
      size = sizeof v4;
    }
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&v6); }
  union {
    sockaddr_in6 v6{};
    sockaddr_in v4;
  };
  socklen_t size = 0;
};

class HostNetwork final : public net::Network {
 public:
  Result<net::Addresses> resolve(std::string_view name, u64 deadline_ns) override {
    return host::resolve(name, deadline_ns);
  }
  Result<base::Owner<net::Socket>> connect(const net::IpAddress& address, u16 port) override {
    TRY(need_epoll());
    SystemAddress to(address, port);
    int fd = socket(address.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return std::unexpected(error_of(errno));
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    char text[INET6_ADDRSTRLEN] = "?", peer[64];
    inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text, sizeof text);
    auto made = base::make<HostSocket>(fd, base::format_into(peer, "{}:{}", text, port));
    if (!made.has_value()) {
      close(fd);
      return std::unexpected(made.error());
    }
    if (::connect(fd, to.get(), to.size) != 0 && errno != EINPROGRESS)
      return std::unexpected(error_of(errno));
    add_to_epoll(fd, **made);
    return base::Owner<net::Socket>(std::move(*made));
  }
  Result<base::Owner<net::Listener>> listen(std::string_view address, u16 port) override {
    TRY(need_epoll());
    char text[64];
    if (address.size() >= sizeof text) return fail(Errc::kInvalidArgument, "not an address");
    text[address.copy(text, address.size())] = '\0';
    sockaddr_in6 v6{};
    sockaddr_in v4{};
    v6.sin6_family = AF_INET6, v6.sin6_port = htons(port);
    v4.sin_family = AF_INET, v4.sin_port = htons(port);
    bool is_v4 = inet_pton(AF_INET, text, &v4.sin_addr) == 1;
    if (!is_v4 && !address.empty() && inet_pton(AF_INET6, text, &v6.sin6_addr) != 1)
      return fail(Errc::kInvalidArgument, "not an IPv4 or IPv6 address");
    if (is_v4) return open(AF_INET, reinterpret_cast<sockaddr*>(&v4), sizeof v4);
    Result<base::Owner<net::Listener>> both =
        open(AF_INET6, reinterpret_cast<sockaddr*>(&v6), sizeof v6);
    if (both.has_value() || !address.empty() || both.error().code == Errc::kBusy) return both;
    return open(AF_INET, reinterpret_cast<sockaddr*>(&v4), sizeof v4);  // a host without IPv6
  }
  void on_activity(void (*wake)(void*), void* context) override {
    for (const Shared::Wake& known : shared.wakes)
      if (known.call == wake && known.context == context) return;
    ASSERT(shared.wakes.push_back({wake, context}));  // each caller in the tree registers once
  }
  std::string_view address(u32 index) const override { return index == 0 ? "127.0.0.1" : ""; }

 private:
  static Result<base::Owner<net::Listener>> open(int family, sockaddr* address, socklen_t size) {
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return std::unexpected(error_of(errno));
    int one = 1, zero = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, address, size) != 0 || ::listen(fd, 128) != 0) {
      Error error = error_of(errno);
      close(fd);
      return std::unexpected(error);
    }
    sockaddr_storage bound{};
    socklen_t bound_size = sizeof bound;
    getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &bound_size);
    u16 port =
        ntohs(bound.ss_family == AF_INET ? reinterpret_cast<sockaddr_in*>(&bound)->sin_port
                                         : reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port);
    auto made = base::make<HostListener>(fd, port);
    if (!made.has_value()) {
      close(fd);
      return std::unexpected(made.error());
    }
    add_to_epoll(fd, **made);
    return base::Owner<net::Listener>(std::move(*made));
  }
};

}  // namespace

net::Network& host_network() {
  static HostNetwork network;
  return network;
}

}  // namespace host
