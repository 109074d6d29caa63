// SPDX-License-Identifier: GPL-2.0-or-later
// One HTTP connection without its socket: bytes in, requests to a handler, bytes out, time limits.
//
// The transport calls receive/proceed/output/sent/peer_closed/peer_lost/tick; the handler answers
// each request with respond(), or begin_stream(), send() … end_stream(), now or later. Requests
// that come meanwhile (pipelining) wait their turn.
//
// The handler is called from the transport's calls only, never from its own: an answer that finds
// no memory or no reader marks the connection, and on_gone() comes with the transport's next call.
// So neither answers nor requests recurse, and whoever answers does not lose what it stands on.
// Thread context; not while another call of the same connection is on the stack.
#pragma once

#include "kernel/net/http_parser.h"

namespace net {

class HttpConnection;

class HttpHandler {
 public:
  // The head of a request has come, and nothing of its body has been kept. respond() here refuses
  // it: where a body was to come the connection closes. Else the body is read; on_request follows.
  virtual void on_head(HttpConnection& connection, const HttpRequest& head) = 0;
  // All of it. The views end with the call, and the body is zeroed then.
  virtual void on_request(HttpConnection& connection, const HttpRequest& request) = 0;
  // Bytes that are no acceptable request; answer with `status`, the connection closes after it.
  virtual void on_bad_request(HttpConnection& connection, int status, const char* problem) = 0;
  // The peer went away before its response was complete: stop the work. Exactly once for such a
  // request, and no answer goes out any more.
  virtual void on_gone(HttpConnection& connection) = 0;

 protected:
  ~HttpHandler() = default;
};

struct HttpTimes {
  u64 head_ns = 10'000'000'000;   // from a request's first byte to the end of its headers
  u64 body_ns = 20'000'000'000;   // between two arrivals of a body, and per 64 KiB of it
  u64 idle_ns = 75'000'000'000;   // between requests
  u64 write_ns = 60'000'000'000;  // output waits for the peer
  u64 linger_ns = 2'000'000'000;  // reading on after a refusal, so that the peer gets our answer
};

class HttpConnection {
 public:
  // `times`, `bodies` and `handler` outlive it.
  HttpConnection(const HttpLimits& limits, const HttpTimes& times, base::Budget& bodies,
                 HttpHandler& handler, u64 now_ns)
      : backlog_bytes_(limits.backlog_bytes),
        times_(times),
        handler_(handler),
        parser_(limits, bodies),
        since_ns_(now_ns) {}
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // ---- transport
  void receive(std::string_view bytes, u64 now_ns);
  // Goes on with requests that waited for an answer to end, and tells of a peer that went. Often:
  // after anything may have been answered. True: something was done.
  bool proceed(u64 now_ns);
  bool wants_bytes() const;
  void peer_closed();  // the peer sends no more
  void peer_lost();    // reset, or a write failed
  // Nothing of it once the connection is broken: half an answer is none.
  std::string_view output() const { return {out_.data() + out_sent_, out_.size() - out_sent_}; }
  void sent(usize bytes, u64 now_ns);
  void tick(u64 now_ns);
  bool wants_shutdown() const { return closing_ && output().empty(); }  // end our side of it
  bool finished() const { return finished_ && !gone_due_; }             // drop the socket

  // ---- handler
  void respond(int status, std::string_view type, std::string_view body,
               std::span<const HttpHeader> headers = {});
  void begin_stream(int status, std::string_view type, std::span<const HttpHeader> headers = {});
  void send(std::string_view text);
  void end_stream();
  void close_after_response() { close_after_ = true; }
  bool answering() const { return phase_ != Phase::kReading && !finished_; }
  bool streaming() const { return phase_ == Phase::kStreaming; }
  usize output_backlog() const { return output().size(); }
  // When the present wait for the peer began; ~0 while a request is being answered.
  u64 waiting_since() const { return answering() ? ~u64{0} : since_ns_; }

  static constexpr usize kMaxPipelined = 64 * 1024;

 private:
  // kDeciding: inside on_head; kWaiting: the handler has the request.
  enum class Phase : u8 { kReading, kDeciding, kWaiting, kStreaming };

  bool parse_more();
  void decide();
  void refuse(int status, const char* problem);
  void make_ready();
  bool tell_gone();
  void head(int status, std::string_view type, std::span<const HttpHeader> headers);
  void put(std::string_view text);
  void response_done();
  void break_off();

  usize backlog_bytes_;
  const HttpTimes& times_;
  HttpHandler& handler_;
  HttpParser parser_;
  Vector<char> waiting_;  // pipelined bytes, not yet parsed
  Vector<char> out_;
  usize out_sent_ = 0;
  Phase phase_ = Phase::kReading;
  u64 since_ns_;            // when the present wait for the peer began
  u64 write_since_ns_ = 0;  // when the oldest unsent output last moved
  u64 body_mark_ = 0;       // body bytes when since_ns_ was last set
  u64 body_bytes_ = 0;
  u64 now_ns_ = 0;
  bool head_only_ = false, http_1_0_ = false, chunked_ = false, body_allowed_ = true;
  bool close_after_ = false, closing_ = false, finished_ = false, lingering_ = false;
  bool peer_closed_ = false, continue_sent_ = false;
  bool parsing_ = false;    // the handler may be on the stack
  bool head_told_ = false;  // of the present request
  bool gone_due_ = false;   // finished with a request in the handler's hands
  bool reset_due_ = false;  // of the parser, whose views may still be in use
};

// "Not Found" for 404.
std::string_view http_reason(int status);

}  // namespace net
