/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the shim (C, Linux's headers) asks of Marrow (C++, drivers/linux/host.cpp), and the other
 * way round. Plain C types only: the two sides share no other header. All of it runs on CPU 0. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/* Memory: identity-mapped, so that a pointer is a bus address. The arena is taken once. */
void* shim_host_arena(unsigned long bytes,
                      int anywhere); /* 2 MiB aligned, below 4 GiB unless anywhere; NULL */
void* shim_host_map_device(unsigned long physical, unsigned long bytes, int write_combining);

/* Linux code's memcpy and memmove, under these names by build_linux.sh: they count. */
void* shim_host_memcpy(void* to, const void* from, unsigned long bytes);
void* shim_host_memmove(void* to, const void* from, unsigned long bytes);

/* Time. */
unsigned long shim_host_ns(void);          /* monotonic */
unsigned long shim_host_unix_ns(void);     /* since 1970; 0 = nobody has told the time yet */
void shim_host_delay_ns(unsigned long ns); /* spins */
void shim_host_random(void* out, unsigned long bytes);

/* One line for the kernel log: 0 error, 1 warning, 2 info, 3 debug. */
void shim_host_log(int level, const char* text);
/* A function that nothing was thought to reach was reached (fatal.list), or a broken invariant. */
__attribute__((noreturn)) void shim_host_fatal(const char* symbol);

/* Threads. wait sleeps on a channel (any address; NULL: only for the time) until wake of the same
 * channel, or `deadline_ns`; it may wake early, so callers re-check their condition. A wake since
 * the last wait makes the next one return. wake may be called from an interrupt. */
int shim_host_spawn(const char* name, void (*entry)(void*), void* argument); /* 0 or -ENOMEM */
void shim_host_wait(const void* channel, unsigned long deadline_ns);
void shim_host_wake(const void* channel);
void shim_host_wake_interfaces(void); /* frames came, a ring has room, a link changed */
int shim_host_in_interrupt(void);
int shim_host_checks_locks(void);     /* is the order of sleeping locks to be checked? */
void shim_host_devices_changed(void); /* a disk or a network card was added; any context */

/* Input and output of people. A key is named by its PS/2 set 1 code, 0xe000 added for the grey
 * ones. A console device announces input with shim_host_console_input; any context. */
void shim_host_key(unsigned int code, int pressed);
void shim_host_add_console(int index, const char* name);
void shim_host_console_input(void);
/* Bytes of a hardware random generator, worth `bits` of entropy. */
void shim_host_add_entropy(const void* bytes, unsigned long count, unsigned long bits);

/* Interrupts: a vector of CPU 0 that calls handler(argument) with interrupts off. */
int shim_host_alloc_vector(void (*handler)(void*), void* argument); /* or a negative errno */
void shim_host_free_vector(int vector);
/* What the function writes to raise the vector; 0 or a negative errno. */
int shim_host_msi_message(int vector, unsigned int bus, unsigned int devfn, unsigned long* address,
                          unsigned int* data);
/* The line that the function's pin (1 = INTA) is wired to, or a negative errno: not every machine
 * wires them. */
int shim_host_pin_line(unsigned int bus, unsigned int devfn, unsigned int pin);
/* Routes such a line to a vector, unmasked. */
int shim_host_route_line(unsigned int line, int vector);
void shim_host_mask_line(unsigned int line);

/* PCI configuration space; `width` is 1, 2 or 4 bytes. `bus` is the bus with its segment above it:
 * segment << 8 | bus. */
unsigned int shim_host_pci_read(unsigned int bus, unsigned int devfn, unsigned int offset,
                                int width);
void shim_host_pci_write(unsigned int bus, unsigned int devfn, unsigned int offset, int width,
                         unsigned int value);
/* A base address register: where the CPU finds what it decodes. The upper half of a wide one and
 * ports where the CPU has none, and one without an address, are SHIM_BAR_NONE. */
enum shim_bar_kind { SHIM_BAR_NONE, SHIM_BAR_MEMORY, SHIM_BAR_PORTS };
struct shim_bar {
  enum shim_bar_kind kind;
  unsigned long base, bytes;
};
void shim_host_pci_bar(unsigned int bus, unsigned int devfn, int index, struct shim_bar* out);
/* Calls found(bus, devfn, context) for each function of the machine whose DMA is coherent. */
void shim_host_pci_each(void (*found)(unsigned int bus, unsigned int devfn, void* context),
                        void* context);

/* ---- the shim's side, for host.cpp ---- */

/* Takes the arena, sets the parameters ("module.name=value", separated by spaces; may be empty) and
 * runs every driver's init in Linux's order. Returns 0 or a negative errno. */
int shim_start(unsigned long arena_bytes, const char* parameters);
/* Is work under way that may still bring a device: a probe, a scan, a hub that debounces? */
int shim_searching(void);
void shim_memory_use(unsigned long* used, unsigned long* total); /* bytes of the arena */

/* PCI functions and what became of them; 0, or -ENODEV past the last. */
struct shim_binding {
  const char* device; /* "00:1f.2" */
  const char* driver; /* "-" when no driver knows it */
  unsigned int vendor, id;
  unsigned int kind; /* class and subclass: 0x0200 is an Ethernet card */
  const char* state;
};
int shim_binding(int index, struct shim_binding* out);
/* Resets the function "00:04.0" through its driver. -ENODEV, -EOPNOTSUPP, or the driver's error. */
int shim_pci_reset(const char* name);
/* What the check of lock order has seen: kinds of sleeping locks, pairs of them, and pairs that
 * were taken both ways round. All 0 unless shim_host_checks_locks. */
void shim_lock_report(int* locks, int* orders);
int shim_lock_inversions(void);
void shim_starve_dma(unsigned long count); /* the next `count` mappings fail */
unsigned long shim_in_place(
    void); /* bytes that disks moved to or from where they belong, since the start */
/* Looks at the hot-plug slots and takes away what was asked for or is gone. How many slots there
 * are. Thread context. */
int shim_hotplug_poll(void);

/* USB devices, a row each; -ENODEV past the last. */
struct shim_usb_info {
  char name[16];                  /* "1-2" */
  char driver[32];                /* of its first interface that has one; "-" */
  char text[96];                  /* manufacturer and product */
  unsigned int vendor, id, speed; /* Mbit/s */
};
int shim_usb_info(int index, struct shim_usb_info* out);

/* Console devices (virtio-console). */
void shim_console_write(int index, const char* text, unsigned int bytes);
int shim_console_read(int index); /* a byte or -1 */

/* Network cards. A frame is received into an sk_buff that the receiver holds until it frees it. */
struct shim_net_info {
  const char* name;   /* "eth0" */
  const char* driver; /* "e1000e" */
  unsigned char mac[6];
  unsigned int mtu;
  int link_up;
  unsigned long rx_frames, rx_bytes, tx_frames, tx_bytes, rx_dropped, tx_dropped;
};
int shim_net_count(void);
void shim_net_info(int index, struct shim_net_info* out);
int shim_net_open(int index);
/* Copies the frame into an sk_buff. 0, -EBUSY while the ring is full, -ENETDOWN, -ENOMEM. */
int shim_net_transmit(int index, const void* frame, unsigned int bytes);
/* Between hold(1) and hold(0) the last frame waits for the next, so that the device is told once.
 * `join`: a TCP frame that goes on where the one before it ended becomes one with it, for cards
 * that cut them apart again. */
void shim_net_hold(int index, int on, int join);
/* Calls receive(context, frame, bytes, handle) for each frame that has come, at most `budget`;
 * the frame stays valid until shim_net_release(handle). Returns how many. */
int shim_net_poll(int index, unsigned int budget,
                  void (*receive)(void* context, const void* frame, unsigned int bytes,
                                  void* handle),
                  void* context);
void shim_net_release(void* handle);

/* Disks. A request names its memory by physical runs; done(context, errno) may come in an
 * interrupt. */
struct shim_disk_info {
  const char* name; /* "nvme0n1" */
  const char* driver;
  unsigned long sectors; /* of 512 bytes */
  unsigned int block_bytes;
  unsigned int max_bytes; /* of one request */
  int read_only;
  int fixed; /* neither its medium nor the disk itself is made to be taken out: no CD, no USB */
};
int shim_disk_count(void);
void shim_disk_info(int index, struct shim_disk_info* out);
enum shim_disk_op { SHIM_DISK_READ, SHIM_DISK_WRITE, SHIM_DISK_FLUSH };
/* Starts one request over a contiguous run of memory; 0, -EBUSY while the queue is full, -EIO. */
int shim_disk_submit(int index, enum shim_disk_op op, unsigned long sector, void* memory,
                     unsigned int bytes, void (*done)(void* context, int error), void* context);

#ifdef __cplusplus
}
#endif
