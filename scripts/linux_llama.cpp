// SPDX-License-Identifier: GPL-2.0-or-later
// /init of the Linux guest with llama.cpp that scripts/compare_engine.py measures beside Marrow:
// loads the model that lies raw on /dev/vda, then does what lines on the console say. The kernel's
// command line gives flash=0|1 and repack=0|1 as its environment.
#include <fcntl.h>
#include <llama.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

constexpr const char* kDisk = "/dev/vda";

double now_ms() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

bool flag(const char* name) {
  const char* value = getenv(name);
  return value != nullptr && *value == '1';
}

void start_guest() {
  mount("dev", "/dev", "devtmpfs", 0, "");
  mount("proc", "/proc", "proc", 0, "");
  mount("sys", "/sys", "sysfs", 0, "");
  int console = open("/dev/console", O_RDWR);
  for (int fd = 0; fd < 3; fd++) dup2(console, fd);
  termios t;
  tcgetattr(0, &t);
  t.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  tcsetattr(0, TCSANOW, &t);
  setvbuf(stdout, nullptr, _IOLBF, 0);
  std::ifstream order("/modules/order");
  for (std::string name; order >> name;) {
    int fd = open(("/modules/" + name).c_str(), O_RDONLY);
    if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) != 0) printf("peer: %s: %m\n", name.c_str());
    close(fd);
  }
  for (int i = 0; i < 500 && access(kDisk, F_OK) != 0; i++) usleep(20000);
}

[[noreturn]] void give_up(const char* why) {
  printf("peer: %s\n", why);
  sleep(1);
  reboot(RB_POWER_OFF);
  _exit(1);
}

class Peer {
 public:
  Peer() {
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    llama_backend_init();
    llama_model_params model = llama_model_default_params();
    model.use_extra_bufts = flag("repack");
    model_ = llama_model_load_from_file(kDisk, model);
    if (model_ == nullptr) give_up("llama.cpp cannot load the model");
    llama_context_params context = llama_context_default_params();
    context.n_ctx = 2048;
    context.n_batch = context.n_ubatch = 512;
    context.n_threads = context.n_threads_batch = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
    context.flash_attn_type =
        flag("flash") ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
    context_ = llama_init_from_model(model_, context);
    if (context_ == nullptr) give_up("llama.cpp makes no context");
    vocabulary_ = llama_model_get_vocab(model_);
  }

  // One question in the model's own template, answered greedily.
  void chat(const std::string& question, int limit) {
    std::string prompt =
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
        "Face<|im_end|>\n<|im_start|>user\n" +
        question + "<|im_end|>\n<|im_start|>assistant\n";
    std::vector<llama_token> tokens(prompt.size() + 8);
    int count = llama_tokenize(vocabulary_, prompt.data(), static_cast<int>(prompt.size()),
                               tokens.data(), static_cast<int>(tokens.size()), false, true);
    tokens.resize(static_cast<size_t>(std::max(count, 0)));
    clear();
    decode(tokens.data(), count);
    printf("peer: answer: ");
    for (int i = 0; i < limit; i++) {
      llama_token next = best();
      if (llama_vocab_is_eog(vocabulary_, next)) break;
      char piece[64];
      int n = llama_token_to_piece(vocabulary_, next, piece, sizeof piece, 0, false);
      fwrite(piece, 1, static_cast<size_t>(std::max(n, 0)), stdout);
      fflush(stdout);
      decode(&next, 1);
    }
    printf("\npeer: answered\n");
  }

  void bench(int prompt, int generate) {
    std::vector<llama_token> tokens;
    for (int i = 0; i < prompt; i++) tokens.push_back(300 + i);
    clear();
    double begin = now_ms();
    decode(tokens.data(), prompt);
    double prefill = now_ms() - begin;
    std::vector<double> gaps;
    for (int i = 0; i < generate; i++) {
      begin = now_ms();
      llama_token next = 1000 + i;
      decode(&next, 1);
      gaps.push_back(now_ms() - begin);
    }
    double sum = 0;
    for (double gap : gaps) sum += gap;
    std::sort(gaps.begin(), gaps.end());
    printf("peer: bench %.2f %.2f %.1f %.1f\n", 1000 * prompt / prefill, 1000 * generate / sum,
           gaps[gaps.size() / 2], gaps[gaps.size() * 99 / 100]);
  }

 private:
  void clear() { llama_memory_clear(llama_get_memory(context_), true); }
  void decode(llama_token* tokens, int count) {
    if (llama_decode(context_, llama_batch_get_one(tokens, count)) != 0)
      give_up("llama_decode failed");
    llama_synchronize(context_);
  }
  llama_token best() {
    const float* logits = llama_get_logits_ith(context_, -1);
    int n = llama_vocab_n_tokens(vocabulary_);
    return static_cast<llama_token>(std::max_element(logits, logits + n) - logits);
  }

  llama_model* model_;
  llama_context* context_;
  const llama_vocab* vocabulary_;
};

// All RAM but what is free once files that nobody maps are forgotten. What the mapped model holds
// counts, as it does in Marrow.
void print_memory() {
  std::ofstream("/proc/sys/vm/drop_caches") << "3\n";
  std::ifstream info("/proc/meminfo");
  long total = 0, free = 0, kib;
  std::string key, unit;
  while (info >> key >> kib && std::getline(info, unit)) {
    if (key == "MemTotal:") total = kib;
    if (key == "MemFree:") free = kib;
  }
  printf("peer: memory %ld %ld\n", total, free);
}

}  // namespace

int main() {
  start_guest();
  Peer peer;
  printf("peer: prompt\n");
  char line[512], text[512];
  int n, m;
  while (fgets(line, sizeof line, stdin) != nullptr) {
    if (sscanf(line, "chat %d %511[^\n]", &n, text) == 2)
      peer.chat(text, n);
    else if (sscanf(line, "bench %d %d", &n, &m) == 2)
      peer.bench(n, m);
    else if (strncmp(line, "memory", 6) == 0)
      print_memory();
  }
  reboot(RB_POWER_OFF);
}
