// SPDX-License-Identifier: GPL-2.0-or-later
// Load on an API server that costs the machine little: one thread, kept-alive connections, epoll.
//   http_load PORT KIND CONNECTIONS REQUESTS [PROMPT TOKENS VOCABULARY [FIRST]]
// KIND: completion (the prompts of the console's `benchload`), stream (the same, as events), or
// live (GET /health/live). Each connection asks again as soon as it is answered. Prints one line;
// exit status 1 when an answer was not 200 or a connection failed.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Settings {
  int port = 8080;
  std::string_view kind = "live";
  unsigned connections = 64, requests = 1000, prompt = 16, tokens = 16, vocabulary = 0, first = 0;
};

double seconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

std::string body_of(const Settings& s, unsigned number) {
  std::string body = "{\"prompt\":[";
  unsigned half = s.vocabulary / 2;
  for (unsigned i = 0; i < s.prompt; i++) {
    auto id = half / 2 + (static_cast<unsigned long>(number) * 7919 + i * 31UL) % half;
    body += (i > 0 ? "," : "") + std::to_string(id);
  }
  body += "],\"n_predict\":" + std::to_string(s.tokens) +
          ",\"ignore_eos\":true,\"cache_prompt\":false,\"temperature\":0";
  return body + (s.kind == "stream" ? ",\"stream\":true}" : "}");
}

std::string request_of(const Settings& s, unsigned number) {
  if (s.kind == "live") return "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::string body = body_of(s, number);
  return "POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
         "Content-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

struct Connection {
  int fd = -1;
  double asked = 0;
  std::string in;
};

// The bytes of one whole answer at the front of `in`; 0: more must come.
size_t answer_size(const std::string& in) {
  size_t head = in.find("\r\n\r\n");
  if (head == std::string::npos) return 0;
  std::string_view text(in.data(), head);
  constexpr std::string_view kLength = "Content-Length: ";
  size_t at = text.find(kLength);
  if (at == std::string_view::npos) {  // chunks: their end is the chunk of no bytes
    size_t end = in.find("\r\n0\r\n\r\n", head);
    return end == std::string::npos ? 0 : end + 7;
  }
  size_t whole = head + 4 + std::strtoul(in.c_str() + at + kLength.size(), nullptr, 10);
  return in.size() < whole ? 0 : whole;
}

class Load {
 public:
  explicit Load(const Settings& s) : settings_(s), poll_(epoll_create1(0)) {}
  bool run() {
    connections_.resize(settings_.connections);
    for (Connection& c : connections_)
      if (!open(c)) return false;
    double start = seconds();
    for (Connection& c : connections_) ask(c);
    while (answered_ + failed_ < settings_.requests && open_ > 0) {
      epoll_event events[64];
      int n = epoll_wait(poll_, events, 64, 60'000);
      if (n <= 0) break;
      for (int i = 0; i < n; i++) read_from(*static_cast<Connection*>(events[i].data.ptr));
    }
    taken_ = seconds() - start;
    report();
    return failed_ == 0 && answered_ == settings_.requests;
  }

 private:
  bool open(Connection& c) {
    c.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET, to.sin_port = htons(static_cast<unsigned short>(settings_.port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c.fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
      std::perror("connect");
      return false;
    }
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &c}};
    open_++;
    return epoll_ctl(poll_, EPOLL_CTL_ADD, c.fd, &event) == 0;
  }
  void ask(Connection& c) {
    if (asked_ == settings_.requests) return;
    std::string request = request_of(settings_, settings_.first + asked_++);
    c.asked = seconds();
    // A request is small and the connection idle: it goes out at once.
    if (send(c.fd, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size()))
      lose(c);
  }
  void lose(Connection& c) {
    failed_++;
    open_--;
    close(c.fd);
  }
  void read_from(Connection& c) {
    char buffer[16384];
    ssize_t n = recv(c.fd, buffer, sizeof buffer, 0);
    if (n <= 0) return lose(c);
    c.in.append(buffer, static_cast<size_t>(n));
    size_t size = answer_size(c.in);
    if (size == 0) return;
    bool good = c.in.starts_with("HTTP/1.1 200 ");
    if (!good && failed_ == 0) std::fprintf(stderr, "%.*s\n", 400, c.in.c_str());
    (good ? answered_ : failed_)++;
    latencies_.push_back(seconds() - c.asked);
    c.in.erase(0, size);
    ask(c);
  }
  void report() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    auto part = [](timeval t) {
      return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    std::sort(latencies_.begin(), latencies_.end());
    auto at = [&](size_t percent) {
      return latencies_.empty() ? 0 : 1e3 * latencies_[(latencies_.size() - 1) * percent / 100];
    };
    std::printf(
        "http: %u answered, %u failed, %.2f s, %.2f requests/s, p50 %.2f ms, p99 %.2f ms, "
        "most %.2f ms, client CPU %.2f s\n",
        answered_, failed_, taken_, answered_ / taken_, at(50), at(99), at(100),
        part(usage.ru_utime) + part(usage.ru_stime));
  }

  const Settings& settings_;
  int poll_;
  std::vector<Connection> connections_;
  std::vector<double> latencies_;
  unsigned asked_ = 0, answered_ = 0, failed_ = 0, open_ = 0;
  double taken_ = 0;
};

}  // namespace

int main(int count, char** words) {
  if (count < 5) {
    std::fprintf(stderr,
                 "http_load PORT completion|stream|live CONNECTIONS REQUESTS [PROMPT TOKENS "
                 "VOCABULARY [FIRST]]\n");
    return 2;
  }
  Settings s;
  s.port = std::atoi(words[1]);
  s.kind = words[2];
  unsigned* const numbers[] = {&s.connections, &s.requests,   &s.prompt,
                               &s.tokens,      &s.vocabulary, &s.first};
  for (int i = 3; i < count && i < 9; i++)
    *numbers[i - 3] = static_cast<unsigned>(std::strtoul(words[i], nullptr, 10));
  if (s.kind != "live" && s.vocabulary < 4) {
    std::fprintf(stderr, "the size of the vocabulary is missing\n");
    return 2;
  }
  return Load(s).run() ? 0 : 1;
}
