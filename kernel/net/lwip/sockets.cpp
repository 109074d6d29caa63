// SPDX-License-Identifier: GPL-2.0-or-later
// Implements sockets over lwIP's raw interface. Its callbacks only record and wake. They run inside
// the calls that feed the stack, never while a socket's own method is running.
#include "kernel/net/lwip/sockets.h"

#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>

#include <algorithm>
#include <utility>

#include "kernel/base/containers.h"
#include "kernel/net/lwip/convert.h"
#include "kernel/net/lwip/interface.h"
#include "kernel/net/stack.h"

namespace net {
namespace {

constexpr usize kMostWrite = 32 * 1024;  // bytes in one call, because lwIP counts in 16 bits
// RFC 6298, 2.1; lwIP still has the three seconds of RFC 1122
constexpr i16 kFirstTimeoutMs = 1000;
constexpr u32 kKeepAliveIdleMs = 60'000, kKeepAliveEveryMs = 15'000, kKeepAliveCount = 4;

struct Wake {
  void (*call)(void*) = nullptr;
  void* context = nullptr;
};
constinit StaticVector<Wake, 8> wakes;

void wake_services() {
  for (const Wake& wake : wakes) wake.call(wake.context);
}

class TcpSocket final : public Socket {
 public:
  enum class State : u8 { kConnecting, kOpen };

  TcpSocket(tcp_pcb* pcb, State state) : pcb_(pcb), state_(state) {
    tcp_arg(pcb, this);
    tcp_recv(pcb, on_receive);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    tcp_nagle_disable(pcb);
    ip_set_option(pcb, SOF_KEEPALIVE);
    pcb->keep_idle = kKeepAliveIdleMs;
    pcb->keep_intvl = kKeepAliveEveryMs;
    pcb->keep_cnt = kKeepAliveCount;
    name_peer();
  }
  ~TcpSocket() override {
    for (pbuf* data : received_.view().subspan(first_)) pbuf_free(data);
    tcp_pcb* pcb = detach();
    if (pcb == nullptr) return;
    // If received bytes are unread, this becomes a reset, as RFC 1122 4.2.2.13 requires.
    if (tcp_close(pcb) != ERR_OK) tcp_abort(pcb);
  }

  Result<usize> read(std::span<char> into) override {
    if (first_ == received_.size()) {
      if (ended_) return usize{0};
      if (pcb_ == nullptr) return std::unexpected(from_lwip_error(error_));
      return fail(Errc::kBusy, "nothing to read");
    }
    usize done = 0;
    while (first_ < received_.size() && done < into.size()) {
      pbuf*& data = received_[first_];
      auto most = static_cast<u16>(std::min<usize>(into.size() - done, kMostWrite));
      u16 n = pbuf_copy_partial(data, into.data() + done, most, 0);
      data = pbuf_free_header(data, n);
      if (data == nullptr) first_++;
      if (pcb_ != nullptr) tcp_recved(pcb_, n);
      done += n;
    }
    if (first_ == received_.size()) {
      received_.clear();
      first_ = 0;
    }
    return done;
  }

  Result<usize> write(std::string_view bytes) override {
    if (pcb_ == nullptr) return std::unexpected(from_lwip_error(error_));
    if (state_ == State::kConnecting) return fail(Errc::kBusy, "not connected yet");
    usize n = std::min<usize>({bytes.size(), tcp_sndbuf(pcb_), kMostWrite});
    if (n == 0) return fail(Errc::kBusy, "no room");
    err_t error = tcp_write(pcb_, bytes.data(), static_cast<u16>(n), TCP_WRITE_FLAG_COPY);
    // Memory is short for a while; segments in flight will give it back.
    if (error == ERR_MEM) return fail(Errc::kBusy, "no room");
    if (error != ERR_OK) return std::unexpected(from_lwip_error(error));
    SendTogether together;
    before_output(*pcb_);
    (void)tcp_output(pcb_);  // what cannot be sent now is left to the timers
    return n;
  }

  void shutdown_write() override {
    if (pcb_ == nullptr || state_ == State::kConnecting) return;
    (void)tcp_shutdown(pcb_, 0, 1);  // if it fails for lack of memory, lwIP tries again
    write_ended_ = true;
    let_go_when_ended();
  }
  std::string_view peer() const override { return {peer_, peer_size_}; }

  static err_t on_connected(void* argument, tcp_pcb*, err_t) {
    static_cast<TcpSocket*>(argument)->state_ = State::kOpen;
    wake_services();
    return ERR_OK;
  }

 private:
  // Gives the connection to lwIP alone.
  tcp_pcb* detach() {
    if (pcb_ == nullptr) return nullptr;
    tcp_arg(pcb_, nullptr);
    tcp_recv(pcb_, nullptr);
    tcp_sent(pcb_, nullptr);
    tcp_err(pcb_, nullptr);
    return std::exchange(pcb_, nullptr);
  }
  // Once both sides have closed, lwIP frees the connection without a callback.
  void let_go_when_ended() {
    if (!ended_ || !write_ended_) return;
    error_ = ERR_CLSD;
    (void)detach();
  }

  void name_peer() {
    AddressText address(pcb_->remote_ip);
    peer_size_ = base::format_into(peer_, "{}:{}", address.view(), pcb_->remote_port).size();
  }

  static err_t on_receive(void* argument, tcp_pcb* pcb, pbuf* data, err_t) {
    auto& self = *static_cast<TcpSocket*>(argument);
    if (data == nullptr) {
      self.ended_ = true;
      self.let_go_when_ended();
    } else if (!self.received_.push_back(data).has_value()) {
      // Data that lwIP keeps for later is lost if the peer closes meanwhile, so the connection ends
      // clearly instead.
      pbuf_free(data);
      tcp_abort(pcb);
      return ERR_ABRT;
    }
    wake_services();
    return ERR_OK;
  }
  static err_t on_sent(void*, tcp_pcb*, u16_t) {
    wake_services();
    return ERR_OK;
  }
  static void on_error(void* argument, err_t error) {
    auto& self = *static_cast<TcpSocket*>(argument);
    self.pcb_ = nullptr;  // lwIP has freed it
    self.error_ = error;
    wake_services();
  }

  tcp_pcb* pcb_;
  Vector<pbuf*> received_;  // [first_, size) is unread
  usize first_ = 0;
  err_t error_ = ERR_OK;
  State state_;
  bool ended_ = false;        // the peer has ended its side
  bool write_ended_ = false;  // this machine has ended its side
  char peer_[64];
  usize peer_size_ = 0;
};

class TcpListener final : public Listener {
 public:
  ~TcpListener() override {
    if (pcb_ == nullptr) return;
    tcp_arg(pcb_, nullptr);
    tcp_accept(pcb_, nullptr);
    (void)tcp_close(pcb_);  // cannot fail for a listener
  }
  void open(tcp_pcb* listening) {
    pcb_ = listening;
    tcp_arg(pcb_, this);
    tcp_accept(pcb_, on_accept);
  }

  Result<base::Owner<Socket>> accept() override {
    if (waiting_.empty()) return fail(Errc::kBusy, "nobody waits");
    base::Owner<Socket> first = std::move(waiting_[0]);
    waiting_.erase(0);
    return first;
  }
  u16 port() const override { return pcb_->local_port; }

 private:
  static constexpr usize kMostWaiting = 128;

  // On an error lwIP resets the new connection.
  static err_t on_accept(void* argument, tcp_pcb* fresh, err_t error) {
    if (error != ERR_OK || fresh == nullptr || argument == nullptr) return ERR_VAL;
    auto& self = *static_cast<TcpListener*>(argument);
    if (self.waiting_.size() >= kMostWaiting) return ERR_MEM;
    if (!self.waiting_.reserve(self.waiting_.size() + 1).has_value()) return ERR_MEM;
    Result<base::Owner<TcpSocket>> made = base::make<TcpSocket>(fresh, TcpSocket::State::kOpen);
    if (!made.has_value()) return ERR_MEM;
    // Room was reserved, so this cannot fail.
    (void)self.waiting_.push_back(base::Owner<Socket>(std::move(*made)));
    wake_services();
    return ERR_OK;
  }

  tcp_pcb* pcb_ = nullptr;
  Vector<base::Owner<Socket>> waiting_;
};

class LwipNetwork final : public Network {
 public:
  Result<base::Owner<Listener>> listen(std::string_view address, u16 port) override {
    char text[64] = {};
    if (address.size() >= sizeof text) return fail(Errc::kInvalidArgument, "not an address");
    std::copy(address.begin(), address.end(), text);
    ip_addr_t local = *IP_ANY_TYPE;
    if (!address.empty() && ipaddr_aton(text, &local) == 0)
      return fail(Errc::kInvalidArgument, "not an IPv4 or IPv6 address");
    base::Owner<TcpListener> made = TRY(base::make<TcpListener>());
    tcp_pcb* pcb = tcp_new_ip_type(IP_GET_TYPE(&local));
    if (pcb == nullptr) return fail(Errc::kFull, "too many open connections: close some");
    err_t error = tcp_bind(pcb, &local, port);
    tcp_pcb* listening =
        error == ERR_OK ? tcp_listen_with_backlog_and_err(pcb, TCP_DEFAULT_LISTEN_BACKLOG, &error)
                        : nullptr;
    if (listening == nullptr) {
      (void)tcp_close(pcb);
      return std::unexpected(from_lwip_error(error));
    }
    made->open(listening);
    return base::Owner<Listener>(std::move(made));
  }
  Result<Addresses> resolve(std::string_view name, u64 deadline_ns) override {
    Addresses one;
    static_cast<void>(one.push_back(TRY(net::resolve(name, deadline_ns))));
    return one;
  }
  Result<base::Owner<Socket>> connect(const IpAddress& address, u16 port) override {
    return net::connect(address, port);
  }
  void on_activity(void (*call)(void*), void* context) override {
    for (const Wake& wake : wakes)
      if (wake.call == call && wake.context == context) return;
    ASSERT(wakes.push_back({call, context}));  // each caller in the tree registers once
  }

  std::string_view address(u32 index) const override {
    static AddressText text(*IP4_ADDR_ANY);
    auto tell = [](const ip_addr_t& found) {
      text = AddressText(found);
      return text.view();
    };
    for (Interface* card : all_interfaces())
      if (!ip4_addr_isany_val(*netif_ip4_addr(&card->state())) && index-- == 0)
        return tell(*netif_ip_addr4(&card->state()));
    for (Interface* card : all_interfaces())
      for (u32 i = 1; i < LWIP_IPV6_NUM_ADDRESSES; i++)  // 0 is the link-local address
        if (ip6_addr_isvalid(netif_ip6_addr_state(&card->state(), i)) && index-- == 0)
          return tell(*netif_ip_addr6(&card->state(), i));
    return "";
  }
};

constinit LwipNetwork the_network;

}  // namespace

Network& lwip_network() {
  return the_network;
}

Result<base::Owner<Socket>> connect(const IpAddress& address, u16 port, const IpAddress* source) {
  ip_addr_t remote = to_lwip(address);
  tcp_pcb* pcb = tcp_new_ip_type(IP_GET_TYPE(&remote));
  if (pcb == nullptr) return fail(Errc::kFull, "too many open connections: close some");
  pcb->rto = pcb->sv = kFirstTimeoutMs / TCP_SLOW_INTERVAL;
  if (source != nullptr) {
    ip_addr_t local = to_lwip(*source);
    err_t bound = tcp_bind(pcb, &local, 0);
    if (bound != ERR_OK) {
      tcp_abort(pcb);
      return std::unexpected(from_lwip_error(bound));
    }
  }
  Result<base::Owner<TcpSocket>> made = base::make<TcpSocket>(pcb, TcpSocket::State::kConnecting);
  if (!made.has_value()) {
    tcp_abort(pcb);
    return std::unexpected(made.error());
  }
  err_t error = tcp_connect(pcb, &remote, port, TcpSocket::on_connected);
  if (error != ERR_OK) return std::unexpected(from_lwip_error(error));
  return base::Owner<Socket>(std::move(*made));
}

}  // namespace net
