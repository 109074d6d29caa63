// SPDX-License-Identifier: GPL-2.0-or-later
// One HTTP connection without its socket: takes bytes, passes requests to a handler, gives bytes,
// and keeps time limits.
//
// The transport calls receive/proceed/output/sent/peer_closed/peer_lost/tick. The handler answers
// each request with respond(), or with begin_stream(), send() … end_stream(), at once or later.
// Further requests (pipelining) wait their turn.
//
// The handler is called only from the transport's calls, never from its own. If an answer finds no
// memory or no reader, the connection is only marked, and on_gone() follows in the transport's next
// call. So neither answers nor requests recurse, and the object that answers is not destroyed while
// it does. For threads; a call must not be made while another call of the same connection is on the
// stack. Nothing here waits.
#pragma once

#include "kernel/net/http_parser.h"

namespace net {

class HttpConnection;

class HttpHandler {
 public:
  // The head of a request has arrived, and none of its body was kept. Calling respond() here
  // refuses the request; if it has a body, the connection closes. Otherwise the body is read and
  // on_request() follows.
  virtual void on_head(HttpConnection& connection, const HttpRequest& head) = 0;
  // The whole request has arrived. Its views end with the call, and the body is then zeroed.
  virtual void on_request(HttpConnection& connection, const HttpRequest& request) = 0;
  // The bytes are no acceptable request. Answer with `status`; the connection closes after it.
  virtual void on_bad_request(HttpConnection& connection, int status, const char* problem) = 0;
  // The peer went away before its response was complete: stop the work. Called exactly once for
  // such a request, and nothing is sent any more.
  virtual void on_gone(HttpConnection& connection) = 0;

 protected:
  ~HttpHandler() = default;
};

struct HttpTimes {
  u64 head_ns = 10'000'000'000;   // from a request's first byte to the end of its headers
  u64 body_ns = 20'000'000'000;   // between two arrivals of a body, and for each 64 KiB of it
  u64 idle_ns = 75'000'000'000;   // between requests
  u64 write_ns = 60'000'000'000;  // for the peer to take output
  u64 linger_ns = 2'000'000'000;  // reading on after a refusal, so that the peer gets the answer
};

class HttpConnection {
 public:
  // `times`, `bodies` and `handler` must outlive the connection.
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

  // ---- called by the transport
  void receive(std::string_view bytes, u64 now_ns);
  // Continues with requests that waited for an answer to end, and reports a peer that has gone. To
  // be called often: after anything may have been answered. Returns true if something was done.
  bool proceed(u64 now_ns);
  bool wants_bytes() const;
  void peer_closed();  // the peer sends nothing more
  void peer_lost();    // the connection was reset, or a write failed
  // Returns what must be sent; nothing once the connection is broken, because half an answer is
  // useless.
  std::string_view output() const { return {out_.data() + out_sent_, out_.size() - out_sent_}; }
  void sent(usize bytes, u64 now_ns);
  void tick(u64 now_ns);
  bool wants_shutdown() const { return closing_ && output().empty(); }  // shut down our direction
  bool finished() const { return finished_ && !gone_due_; }             // destroy the socket

  // ---- called by the handler
  void respond(int status, std::string_view type, std::string_view body,
               std::span<const HttpHeader> headers = {});
  void begin_stream(int status, std::string_view type, std::span<const HttpHeader> headers = {});
  void send(std::string_view text);
  void end_stream();
  void close_after_response() { close_after_ = true; }
  bool answering() const { return phase_ != Phase::kReading && !finished_; }
  bool streaming() const { return phase_ == Phase::kStreaming; }
  usize output_backlog() const { return output().size(); }
  // Returns when the current wait for the peer began, or ~0 while a request is being answered.
  u64 waiting_since() const { return answering() ? ~u64{0} : since_ns_; }

  static constexpr usize kMaxPipelined = 64 * 1024;

 private:
  // kDeciding: inside on_head(). kWaiting: the handler has the request.
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
  Vector<char> waiting_;  // pipelined bytes that were not parsed yet
  Vector<char> out_;
  usize out_sent_ = 0;
  Phase phase_ = Phase::kReading;
  u64 since_ns_;            // when the current wait for the peer began
  u64 write_since_ns_ = 0;  // when the oldest unsent output last made progress
  u64 body_mark_ = 0;       // bytes of the body when since_ns_ was last set
  u64 body_bytes_ = 0;
  u64 now_ns_ = 0;
  bool head_only_ = false, http_1_0_ = false, chunked_ = false, body_allowed_ = true;
  bool close_after_ = false, closing_ = false, finished_ = false, lingering_ = false;
  bool peer_closed_ = false, continue_sent_ = false;
  bool parsing_ = false;    // the handler may be on the stack
  bool head_told_ = false;  // on_head() was called for the current request
  bool gone_due_ = false;   // finished while the handler has a request: on_gone() is due
  bool reset_due_ = false;  // the parser must be reset once its views are not used any more
};

// Returns "Not Found" for 404, and so on.
std::string_view http_reason(int status);

}  // namespace net
