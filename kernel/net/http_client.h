// SPDX-License-Identifier: GPL-2.0-or-later
// Fetches one address: connects, follows redirects, and gives the body piece by piece in bounded
// memory. One connection a fetch; nothing is tried again here. For threads of CPU 0; open() and
// read() wait.
#pragma once

#include <span>

#include "kernel/base/http_message.h"
#include "kernel/net/http_response.h"
#include "kernel/net/socket.h"
#include "kernel/net/tls/tls.h"
#include "kernel/net/url.h"

namespace net {

struct HttpCall {
  std::string_view url;
  std::span<const base::HttpHeader> headers = {};  // sent to every host on the way
  // The value of the header Authorization. It is sent to the origin of `url` only, never to
  // another host, port or scheme that a redirect names.
  std::string_view authorization = "";
  // Returns the client for https, which must outlive the fetch, or says why there is none. It is
  // called when an address needs it; null: https is refused.
  Result<tls::Client*> (*secure)() = nullptr;
  u64 connect_ns = 15'000'000'000;  // for a connection, and for the name before it
  u64 silence_ns = 30'000'000'000;  // between two arrivals of bytes
};

// Follows a fetch and may stop it.
class HttpWatcher {
 public:
  virtual bool stopped() = 0;  // asked some times a second while nothing arrives
  // Sees the head of an answer that sends the client elsewhere.
  virtual void on_redirect(const HttpResponseParser&) {}

 protected:
  ~HttpWatcher() = default;
};

class HttpFetch {
 public:
  // Returns once the head of the last answer has come, whatever its status is. Returns kIo if there
  // is no connection or it breaks, kTimeout if the server is silent, kCorrupt if the answer is not
  // HTTP, kPermission for a redirect from https to http and for a certificate that is not trusted,
  // kCancelled if it was stopped. `watcher` must outlive the fetch.
  static Result<base::Owner<HttpFetch>> open(const HttpCall& call, HttpWatcher& watcher);

  int status() const { return parser_.status(); }
  std::string_view header(std::string_view name) const { return parser_.header(name); }
  std::optional<u64> length() const { return parser_.length(); }
  const Url& url() const { return url_; }  // the one that answered

  // Returns the next bytes of the body, or 0 behind its last one. Returns kIo if the connection
  // ended before the body did, and otherwise the errors of open().
  Result<usize> read(std::span<char> into);
  // Does so until `into` is full or the body ends. After an error, the first `got` bytes have come.
  Result<void> read_full(std::span<char> into, usize& got);

  explicit HttpFetch(HttpWatcher& watcher) : watcher_(watcher) {}
  HttpFetch(const HttpFetch&) = delete;
  HttpFetch& operator=(const HttpFetch&) = delete;

 private:
  Result<void> visit(const HttpCall& call, bool trusted);
  Result<void> connect(const HttpCall& call);
  Result<void> connect_to(const IpAddress& address, tls::Client* client, u64 deadline_ns);
  Result<void> write_all(std::string_view bytes, u64 deadline_ns, const char* too_late);
  Result<void> write_request(const HttpCall& call, bool trusted);
  Result<void> read_head();
  Result<usize> receive();
  Result<void> wait(u64 deadline_ns, const char* too_late);

  HttpWatcher& watcher_;
  base::Owner<Socket> socket_;
  Url url_;
  HttpResponseParser parser_;
  Vector<char> in_;  // bytes of the socket; [at_, filled_) were not parsed yet
  usize at_ = 0, filled_ = 0;
  u64 silence_ns_ = 0;
  u64 next_look_ns_ = 0;  // when the watcher is asked again
};

}  // namespace net
