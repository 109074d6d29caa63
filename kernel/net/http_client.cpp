// SPDX-License-Identifier: GPL-2.0-or-later
// Implements fetches over the machine's network (RFC 9110, 15.4 for redirects).
#include "kernel/net/http_client.h"

#include <version.h>

#include <algorithm>

#include "kernel/net/network_list.h"
#include "kernel/net/tls/secure_socket.h"
#include "kernel/sched/context.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

namespace net {
namespace {

constexpr u32 kMostRedirects = 10;
constexpr usize kInBytes = 64 * 1024;
constexpr u64 kLookNs = 100'000'000;  // between two questions whether the fetch is to stop

sched::WaitQueue& news() {
  static constinit sched::WaitQueue queue;
  return queue;
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// A header that is written must be one line.
bool is_one_line(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<u8>(c) < 0x20 || c == 0x7f; });
}

Result<Addresses> addresses_of(const Url& url, u64 deadline_ns) {
  Result<IpAddress> literal = parse_address(url.host.view());
  if (!literal.has_value()) return network()->resolve(url.host.view(), deadline_ns);
  Addresses one;
  static_cast<void>(one.push_back(*literal));
  return one;
}

}  // namespace

Result<base::Owner<HttpFetch>> HttpFetch::open(const HttpCall& call, HttpWatcher& watcher) {
  sched::assert_thread();
  if (network() == nullptr)
    return fail(Errc::kUnsupported, "there is no network: the log says why (`dmesg`)");
  network()->on_activity([](void*) { news().wake_all(); }, nullptr);
  auto fetch = TRY(base::make<HttpFetch>(watcher));
  fetch->silence_ns_ = call.silence_ns;
  TRY(fetch->in_.resize(kInBytes));
  fetch->url_ = TRY(parse_url(call.url));
  Url first = TRY(fetch->url_.clone());
  for (u32 hop = 0; hop <= kMostRedirects; hop++) {
    TRY(fetch->visit(call, same_origin(first, fetch->url_)));
    if (!is_redirect(fetch->status())) return fetch;
    std::string_view location = fetch->header("location");
    if (location.empty()) return fail(Errc::kCorrupt, "the server redirects to nowhere");
    watcher.on_redirect(fetch->parser_);
    Url next = TRY(follow_reference(fetch->url_, location));
    if (fetch->url_.secure && !next.secure)
      return fail(Errc::kPermission,
                  "the server redirects from https to http: that is not followed");
    fetch->url_ = std::move(next);
  }
  return fail(Errc::kCorrupt, "the server redirects in a circle, or more than 10 times");
}

// Asks for url_ and reads the head of the answer.
Result<void> HttpFetch::visit(const HttpCall& call, bool trusted) {
  socket_.reset();
  parser_ = {};
  at_ = filled_ = 0;
  TRY(connect(call));
  TRY(write_request(call, trusted));
  return read_head();
}

Result<void> HttpFetch::connect(const HttpCall& call) {
  tls::Client* client = nullptr;
  if (url_.secure && call.secure == nullptr)
    return fail(Errc::kUnsupported, "https is not used here: use http");
  if (url_.secure) client = TRY(call.secure());
  u64 deadline = timing::now_ns() + call.connect_ns;
  Addresses addresses = TRY(addresses_of(url_, deadline));
  Result<void> connected = fail(Errc::kNotFound, "the host's name has no address");
  for (const IpAddress& address : addresses) {
    connected = connect_to(address, client, deadline);
    if (connected.has_value() ||
        (connected.error().code != Errc::kIo && connected.error().code != Errc::kNotFound))
      break;
  }
  return connected;
}

// Waits until the peer takes bytes. Nothing tells of a connection but a write, and the request
// begins with these.
Result<void> HttpFetch::connect_to(const IpAddress& address, tls::Client* client, u64 deadline_ns) {
  constexpr std::string_view kBegin = "GET ";
  Result<base::Owner<Socket>> plain = network()->connect(address, url_.port);
  // The network may still be coming up.
  if (!plain.has_value() && plain.error().code == Errc::kNotFound)
    return fail(Errc::kIo, "there is no route to the server: check the network (`ip`)");
  socket_ = TRY(plain);
  if (client != nullptr) {
    auto session = TRY(client->begin(url_.host.view()));
    socket_ = TRY(base::make<tls::SecureSocket>(std::move(socket_), std::move(session),
                                                timing::now_ns, deadline_ns));
  }
  Result<void> written =
      write_all(kBegin, deadline_ns, "the server does not answer: check its name and port");
  if (!written.has_value() && written.error().code == Errc::kIo)
    return fail(Errc::kIo, "the server refuses the connection: check its name and port");
  return written;
}

// Gives all bytes to the socket, and waits where it has no room.
Result<void> HttpFetch::write_all(std::string_view bytes, u64 deadline_ns, const char* too_late) {
  while (!bytes.empty()) {
    Result<usize> n = socket_->write(bytes);
    if (n.has_value())
      bytes.remove_prefix(*n);
    else if (n.error().code == Errc::kBusy)
      TRY(wait(deadline_ns, too_late));
    else
      return std::unexpected(n.error());
  }
  return {};
}

Result<void> HttpFetch::write_request(const HttpCall& call, bool trusted) {
  String text, host = TRY(url_.authority());
  base::StringWriter out(text);
  base::format_to(out,
                  "{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Marrow/{}\r\n"
                  "Accept-Encoding: identity\r\nConnection: close\r\n",
                  url_.target, host, kMarrowVersion);
  for (const base::HttpHeader& header : call.headers) {
    if (!is_one_line(header.value))
      return fail(Errc::kInvalidArgument, "a header of the request is not one line");
    base::format_to(out, "{}: {}\r\n", header.name, header.value);
  }
  if (!is_one_line(call.authorization))
    return fail(Errc::kInvalidArgument, "the token is not one line: type it again");
  if (trusted && !call.authorization.empty())
    base::format_to(out, "Authorization: {}\r\n", call.authorization);
  out.write("\r\n");
  TRY(out.status());
  return write_all(text.view(), timing::now_ns() + silence_ns_,
                   "the server takes no request: try again later");
}

Result<void> HttpFetch::read_head() {
  using State = HttpResponseParser::State;
  while (parser_.state() == State::kHead) {
    if (at_ == filled_) {
      if (TRY(receive()) == 0) parser_.end();
      continue;
    }
    std::string_view body;
    at_ += parser_.feed({in_.data() + at_, filled_ - at_}, body);
  }
  if (parser_.state() != State::kFailed) return {};
  return fail(parser_.cut() ? Errc::kIo : Errc::kCorrupt, parser_.problem());
}

// Receives bytes into the empty in_. Returns 0 if the peer has ended the connection.
Result<usize> HttpFetch::receive() {
  u64 deadline = timing::now_ns() + silence_ns_;
  for (;;) {
    Result<usize> n = socket_->read(in_.view());
    if (n.has_value()) {
      at_ = 0;
      filled_ = *n;
      return n;
    }
    if (n.error().code != Errc::kBusy) return n;
    TRY(wait(deadline, "the server is silent"));
  }
}

Result<usize> HttpFetch::read(std::span<char> into) {
  using State = HttpResponseParser::State;
  while (parser_.state() == State::kBody) {
    if (at_ == filled_) {
      if (TRY(receive()) == 0) parser_.end();
      continue;
    }
    std::string_view body;
    at_ += parser_.feed({in_.data() + at_, std::min(filled_ - at_, into.size())}, body);
    if (body.empty()) continue;
    std::ranges::copy(body, into.begin());
    return body.size();
  }
  if (parser_.state() == State::kComplete) return usize{0};
  return fail(parser_.cut() ? Errc::kIo : Errc::kCorrupt, parser_.problem());
}

Result<void> HttpFetch::read_full(std::span<char> into, usize& got) {
  got = 0;
  while (got < into.size()) {
    usize n = TRY(read(into.subspan(got)));
    if (n == 0) break;
    got += n;
  }
  return {};
}

Result<void> HttpFetch::wait(u64 deadline_ns, const char* too_late) {
  u64 now = timing::now_ns();
  if (now >= next_look_ns_) {  // a console that is asked reads its serial port
    next_look_ns_ = now + kLookNs;
    if (watcher_.stopped()) return fail(Errc::kCancelled, "stopped");
  }
  if (now > deadline_ns) return fail(Errc::kTimeout, too_late);
  news().wait(std::min(deadline_ns + 1, now + kLookNs));
  return {};
}

}  // namespace net
