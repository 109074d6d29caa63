// SPDX-License-Identifier: GPL-2.0-or-later
// /init of the Linux guest that scripts/compare_linux.py measures beside Marrow: loads modules,
// then does what lines on the console say. Statically linked; there is nothing else in the guest.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD = 1048573, PIECE = 256 << 10 };

static char pattern[PERIOD + PIECE + 8];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

// The same bytes as console/check/net_bench.cpp makes.
static void make_pattern(void) {
  uint64_t state = 1;
  for (size_t at = 0; at < PERIOD; at += 8) {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    z ^= z >> 31;
    memcpy(pattern + at, &z, 8);
  }
  memcpy(pattern + PERIOD, pattern, PIECE);
}

static void load_modules(void) {
  FILE *list = fopen("/modules/order", "r");
  char name[64], path[96];
  while (list && fscanf(list, "%63s", name) == 1) {
    snprintf(path, sizeof path, "/modules/%s", name);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) != 0) printf("peer: %s: %m\n", name);
    close(fd);
  }
  if (list) fclose(list);
}

static void wait_for(const char *path) {
  for (int i = 0; i < 500 && access(path, F_OK) != 0; i++) usleep(20000);
}

static struct sockaddr_in address_of(const char *text, int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, text, &a.sin_addr);
  return a;
}

static void cmd_net(const char *address, const char *gateway) {
  wait_for("/sys/class/net/eth0");
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct ifreq r = {.ifr_name = "eth0"};
  struct sockaddr_in a = address_of(address, 0), mask = address_of("255.255.255.0", 0);
  memcpy(&r.ifr_addr, &a, sizeof a);
  int failed = ioctl(fd, SIOCSIFADDR, &r);
  memcpy(&r.ifr_addr, &mask, sizeof mask);
  failed |= ioctl(fd, SIOCSIFNETMASK, &r);
  r.ifr_flags = IFF_UP | IFF_RUNNING;
  failed |= ioctl(fd, SIOCSIFFLAGS, &r);
  struct sockaddr_in any = address_of("0.0.0.0", 0), via = address_of(gateway, 0);
  struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
  memcpy(&route.rt_dst, &any, sizeof any);
  memcpy(&route.rt_genmask, &any, sizeof any);
  memcpy(&route.rt_gateway, &via, sizeof via);
  failed |= ioctl(fd, SIOCADDRT, &route);
  close(fd);
  int up = 0;
  for (int i = 0; i < 500 && !up; i++) {
    FILE *carrier = fopen("/sys/class/net/eth0/carrier", "r");
    if (!carrier || fscanf(carrier, "%d", &up) != 1) up = 0;
    if (carrier) fclose(carrier);
    usleep(20000);
  }
  printf("peer: net %s\n", failed || !up ? "failed" : "up");
}

// Reads the disk's first bytes past the page cache, `piece` KiB a call.
static void cmd_disk(const char *path, long mib, long piece) {
  wait_for(path);
  size_t bytes = (size_t)piece << 10;
  char *room = NULL;
  int fd = open(path, O_RDONLY | O_DIRECT);
  if (fd < 0 || posix_memalign((void **)&room, 2 << 20, bytes)) {
    printf("peer: %s: %m\n", path);
    return;
  }
  memset(room, 0, bytes);
  double start = now();
  uint64_t done = 0, most = (uint64_t)mib << 20;
  while (done < most) {
    ssize_t n = read(fd, room, bytes);
    if (n <= 0) break;
    done += n;
  }
  double took = now() - start;
  close(fd);
  free(room);
  printf("peer: disk %.1f MiB/s, %llu MiB\n", done / took / 1048576, (unsigned long long)done >> 20);
}

static int write_all(int fd, const char *from, size_t bytes) {
  while (bytes) {
    ssize_t n = write(fd, from, bytes);
    if (n <= 0) return -1;
    from += n;
    bytes -= n;
  }
  return 0;
}

static const char *send_bytes(int fd, uint64_t left) {
  char verdict[2];
  for (size_t phase = 0; left;) {
    size_t part = left < PIECE ? left : PIECE;
    if (write_all(fd, pattern + phase, part)) return "hung up";
    phase = (phase + part) % PERIOD;
    left -= part;
  }
  return recv(fd, verdict, 2, MSG_WAITALL) == 2 && memcmp(verdict, "ok", 2) == 0 ? NULL : "the bytes arrived changed";
}

static const char *receive_bytes(int fd, uint64_t left) {
  static char room[PIECE];
  for (size_t phase = 0; left;) {
    ssize_t n = read(fd, room, left < PIECE ? left : PIECE);
    if (n <= 0) return "hung up";
    if (memcmp(room, pattern + phase, n)) return "the bytes arrived changed";
    phase = (phase + n) % PERIOD;
    left -= n;
  }
  return NULL;
}

static const char *echo_rounds(int fd, uint64_t rounds) {
  for (uint64_t i = 0, back; i < rounds; i++)
    if (write_all(fd, (const char *)&i, 8) || recv(fd, &back, 8, MSG_WAITALL) != 8 || back != i) return "no echo";
  return NULL;
}

static void cmd_tcp(const char *host, int port, const char *what, uint64_t count) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in a = address_of(host, port);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(fd, (struct sockaddr *)&a, sizeof a)) {
    printf("peer: tcp failed: %m\n");
    close(fd);
    return;
  }
  if (*what != 'e') count <<= 20;
  char request[9] = {*what};
  memcpy(request + 1, &count, 8);
  const char *error = write_all(fd, request, 9) ? "hung up" : NULL;
  double start = now();
  if (!error) error = *what == 's' ? send_bytes(fd, count) : *what == 'r' ? receive_bytes(fd, count) : echo_rounds(fd, count);
  double took = now() - start;
  close(fd);
  if (error)
    printf("peer: tcp failed: %s\n", error);
  else if (*what == 'e')
    printf("peer: tcp %.1f us\n", took * 1e6 / count);
  else
    printf("peer: tcp %.1f MiB/s\n", count / took / 1048576);
}

static void cmd_shell(const char *command) {
  double start = now();
  int status = system(command);
  printf("peer: shell %d %.3f s\n", status, now() - start);
}

int main(void) {
  mount("dev", "/dev", "devtmpfs", 0, "");
  mount("proc", "/proc", "proc", 0, "");
  mount("sys", "/sys", "sysfs", 0, "");
  int console = open("/dev/console", O_RDWR);
  for (int fd = 0; fd < 3; fd++) dup2(console, fd);
  struct termios t;
  tcgetattr(0, &t);
  t.c_lflag &= ~ECHO;
  tcsetattr(0, TCSANOW, &t);
  setvbuf(stdout, NULL, _IOLBF, 0);
  load_modules();
  make_pattern();
  printf("peer: ready\n");
  char line[512], a[64], b[64];
  long n, m;
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "net %63s %63s", a, b) == 2)
      cmd_net(a, b);
    else if (sscanf(line, "disk %63s %ld %ld", a, &n, &m) == 3)
      cmd_disk(a, n, m);
    else if (sscanf(line, "tcp %63s %ld %63s %ld", a, &n, b, &m) == 4)
      cmd_tcp(a, n, b, m);
    else if (strncmp(line, "shell ", 6) == 0)
      cmd_shell(line + 6);
    else if (strncmp(line, "off", 3) == 0)
      reboot(RB_POWER_OFF);
  }
  reboot(RB_POWER_OFF);
}
