// SPDX-License-Identifier: GPL-2.0-or-later
// Implements NetDevice and BlockDevice over the shim. Received frames are lent, and disk requests
// name the caller's own memory. Only sent frames are copied here, once.
#include "drivers/linux/devices.h"

#include "drivers/linux/advice.h"
#include "drivers/linux/host.h"
#include "kernel/dev/registry.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/time/clock.h"

namespace linux_drivers {
namespace {

constexpr Option kMemory{"drivers.memory", OptionKind::kNumber, "32", "8..1024",
                         "MiB that the Linux drivers may use"};
KERNEL_OPTION(kMemory);
constexpr Option kDrivers{"drivers", OptionKind::kChoice, "on", "on|off",
                          "start the Linux drivers"};
KERNEL_OPTION(kDrivers);

constexpr Option kParameters{"drivers.parameters", OptionKind::kText, "", "",
                             "module.name=value words for the Linux drivers"};
KERNEL_OPTION(kParameters);

// Linux's ENOMEM, ENODEV and EOPNOTSUPP.
constexpr int kNoMemory = -12, kNoDevice = -19, kNoWay = -95;

constexpr u64 kSlotPollNs = 500'000'000;
constexpr u64 kSearchPollNs = 5'000'000;
constexpr u64 kSearchMostNs = 8'000'000'000;  // a stick may take seconds, a broken one for ever

Error from_errno(int error) {
  struct Row {
    int number;
    Error error;
  };
  static constexpr Row kRows[] = {
      {-16, {Errc::kBusy, "the device's queue is full"}},
      {kNoMemory,
       {Errc::kOutOfMemory, "the drivers' memory is used up: drivers.memory= gives more"}},
      {-19, {Errc::kIo, "the device is gone"}},
      {-22, {Errc::kOutOfRange, "outside the device"}},
      {-100, {Errc::kIo, "the network is down"}},
      {-110, {Errc::kTimeout, "the device did not answer in time"}},
      {-61, {Errc::kIo, "the medium has an unreadable sector"}},
  };
  for (const Row& row : kRows)
    if (row.number == error) return row.error;
  return {Errc::kIo, "input/output error"};
}

class Card final : public NetDevice {
 public:
  void attach(int index) {
    index_ = index;
    refresh();
  }
  std::string_view name() const override { return info_.name; }
  std::string_view driver() const override { return info_.driver; }
  MacAddress mac() const override {
    MacAddress mac;
    for (usize i = 0; i < mac.size(); i++) mac[i] = info_.mac[i];
    return mac;
  }
  u32 mtu() const override { return info_.mtu; }
  bool link_up() const override {
    refresh();
    return info_.link_up != 0;
  }
  NetCounters counters() const override {
    refresh();
    return {.frames_in = info_.rx_frames,
            .frames_out = info_.tx_frames,
            .bytes_in = info_.rx_bytes,
            .bytes_out = info_.tx_bytes,
            .dropped_in = info_.rx_dropped,
            .errors_out = info_.tx_dropped};
  }
  Result<void> open() {
    int error = shim_net_open(index_);
    if (error != 0) return std::unexpected(from_errno(error));
    return {};
  }
  Result<void> transmit(std::span<const Byte> frame) override {
    int error = shim_net_transmit(index_, frame.data(), static_cast<u32>(frame.size()));
    if (error != 0) return std::unexpected(from_errno(error));
    return {};
  }
  void hold(bool may_join) override { shim_net_hold(index_, 1, may_join ? 1 : 0); }
  void release() override { shim_net_hold(index_, 0, 0); }
  u32 poll(FrameSink& up, u32 budget) override {
    auto hand_up = [](void* context, const void* frame, unsigned int bytes, void* handle) {
      auto& call = *static_cast<Poll*>(context);
      call.card->deliver({static_cast<const Byte*>(frame), bytes}, *call.up);
      shim_net_release(handle);
    };
    Poll call{this, &up};
    return static_cast<u32>(shim_net_poll(index_, budget, hand_up, &call));
  }
  sched::WaitQueue& events() override { return events_; }

 private:
  struct Poll {
    Card* card;
    FrameSink* up;
  };
  void refresh() const { shim_net_info(index_, &info_); }

  int index_ = 0;
  mutable struct shim_net_info info_{};
  sched::WaitQueue events_;
};

class Disk final : public BlockDevice {
 public:
  void attach(int index) {
    index_ = index;
    shim_disk_info(index_, &info_);
  }
  std::string_view name() const override { return info_.name; }
  std::string_view driver() const override { return info_.driver; }
  BlockGeometry geometry() const override {
    struct shim_disk_info info{};
    shim_disk_info(index_, &info);
    u32 block = info.block_bytes == 0 ? 512 : info.block_bytes;
    return {.blocks = info.sectors * 512 / block,
            .block_bytes = block,
            .max_transfer_bytes = info.max_bytes,
            .read_only = info.read_only != 0,
            .fixed = info.fixed != 0};
  }
  u32 queue_depth() const override { return 32; }
  Result<void> submit(BlockRequest& request) override {
    static constexpr shim_disk_op kOperations[] = {SHIM_DISK_READ, SHIM_DISK_WRITE,
                                                   SHIM_DISK_FLUSH};
    u64 sector = request.first_block * (info_.block_bytes / 512);
    int error = shim_disk_submit(index_, kOperations[static_cast<u8>(request.operation)], sector,
                                 request.buffer.data(), static_cast<u32>(request.buffer.size()),
                                 finish, &request);
    if (error != 0) return std::unexpected(from_errno(error));
    return {};
  }
  void poll() override {}  // interrupts complete everything

 private:
  static void finish(void* context, int error) {
    auto& request = *static_cast<BlockRequest*>(context);
    request.status = error == 0 ? Result<void>{} : std::unexpected(from_errno(error));
    request.complete(request);
  }

  int index_ = 0;
  struct shim_disk_info info_{};
};

constexpr usize kMaxCards = 8;
constexpr usize kMaxDisks = 128;  // a stick that is inserted again counts as another disk
constinit Card cards[kMaxCards];
constinit Disk disks[kMaxDisks];
constinit usize card_count = 0;
constinit usize disk_count = 0;
constinit bool started = false;
constinit int start_error = 0;  // an errno: why no driver runs
constinit u64 entropy_bits = 0;
constinit sched::WaitQueue start_event;   // woken for those who wait for the first disks
constinit sched::WaitQueue change_event;  // woken for the thread that registers new devices

// Registers devices that have appeared since the last look (nvme scans in the background).
void take_new_devices() {
  for (; disk_count < kMaxDisks && disk_count < static_cast<usize>(shim_disk_count());
       disk_count++) {
    disks[disk_count].attach(static_cast<int>(disk_count));
    if (!devices::add_block(disks[disk_count]).has_value()) log::warn("drivers", "too many disks");
  }
  for (; card_count < kMaxCards && card_count < static_cast<usize>(shim_net_count());
       card_count++) {
    Card& card = cards[card_count];
    card.attach(static_cast<int>(card_count));
    Result<void> opened = card.open();
    if (!opened.has_value()) log::warn("drivers", "{}: {}", card.name(), opened.error());
    if (!devices::add_net(card).has_value()) log::warn("drivers", "too many network cards");
  }
}

// Buses are scanned in the background (nvme, ahci, USB): waits until no scan is under way.
void search(u64 begin) {
  while (shim_searching() != 0 && timing::now_ns() - begin < kSearchMostNs) {
    take_new_devices();
    shim_hotplug_poll();
    sched::sleep_ns(kSearchPollNs);
  }
  take_new_devices();
  log::info("drivers", "the search for devices took {} ms",
            base::ratio(timing::now_ns() - begin, 1'000'000, 1));
}

// Logs devices without a driver once per boot, so that nobody waits for a disk or card that cannot
// appear.
void warn_of_undriven() {
  struct shim_binding row{};
  for (int i = 0; shim_binding(i, &row) == 0; i++) {
    char text[256];
    base::BufferWriter line(text);
    if (advise(row, line))
      log::warn("drivers", "{}", line.view().substr(0, line.view().size() - 1));
  }
}

void run_start(void*) {
  u64 begin = timing::now_ns();
  char parameters[256];
  base::format_into(parameters, "{}", options::text(kParameters));
  int error = shim_start(options::number(kMemory) * kMiB, parameters);
  start_error = error;
  if (error == kNoMemory)
    log::error("drivers", "no disk, card or USB works: 8 MiB are not free for the drivers; {}",
               "give the machine more memory, or a smaller model");
  else if (error != 0)
    log::error("drivers", "the Linux drivers did not start: {}", from_errno(error));
  u64 took = timing::now_ns() - begin;
  log::info("drivers", "started in {} ms", base::ratio(took, 1'000'000, 1));
  started = true;
  start_event.wake_all();
  if (error == 0) warn_of_undriven();
  if (error == 0) search(begin);
  devices::end_search();
  for (;;) {
    take_new_devices();
    // A slot with a button is polled twice a second. Without one, devices announce themselves.
    bool slots = error == 0 && shim_hotplug_poll() > 0;
    change_event.wait(slots ? timing::now_ns() + kSlotPollNs : ~u64{0});
  }
}

// Explains an empty list.
void say_not_started(base::Writer& out) {
  if (!started) out.write("the drivers are still starting\n");
  if (start_error != 0) out.write("the drivers did not start: dmesg says why\n");
}

void list(base::Writer& out) {
  base::format_to(out, "{:<14} {:<10} {:<12} {}\n", "driver", "device", "vendor:id", "state");
  struct shim_binding row{};
  say_not_started(out);
  for (int i = 0; started && shim_binding(i, &row) == 0; i++)
    base::format_to(out, "{:<14} {:<10} {:04x}:{:04x}    {}\n", row.driver, row.device, row.vendor,
                    row.id, row.state);
  for (usize i = 0; i < card_count; i++)
    base::format_to(out, "{:<14} {:<10} {:<12} {}\n", cards[i].driver(), cards[i].name(), "",
                    cards[i].link_up() ? "link up" : "no link");
  for (usize i = 0; i < disk_count; i++)
    base::format_to(out, "{:<14} {:<10} {:<12} {}\n", disks[i].driver(), disks[i].name(), "",
                    disks[i].geometry().blocks == 0 ? "gone" : "ready");
  unsigned long used = 0;
  unsigned long total = 0;
  shim_memory_use(&used, &total);
  base::format_to(out, "{} of {} KiB of the drivers' memory in use\n", used / kKiB, total / kKiB);
  base::format_to(out, "{} KiB copied by the CPU in driver code, {} KiB moved by disks in place\n",
                  copied_bytes() / kKiB, shim_in_place() / kKiB);
  if (shim_host_checks_locks() != 0) {
    int locks = 0;
    int orders = 0;
    shim_lock_report(&locks, &orders);
    base::format_to(out, "lock order: {} kinds of locks, {} orders seen, {} inversions\n", locks,
                    orders, shim_lock_inversions());
  }
  if (entropy_bits != 0)
    base::format_to(out, "{} bits of entropy from random generators\n", entropy_bits);
}

void advise_all(base::Writer& out) {
  struct shim_binding row{};
  say_not_started(out);
  for (int i = 0; started && shim_binding(i, &row) == 0; i++) advise(row, out);
}

void list_usb(base::Writer& out) {
  base::format_to(out, "{:<10} {:<12} {:>8} {:<11} {}\n", "device", "driver", "Mbit/s", "vendor:id",
                  "name");
  struct shim_usb_info row{};
  say_not_started(out);
  for (int i = 0; started && shim_usb_info(i, &row) == 0; i++)
    base::format_to(out, "{:<10} {:<12} {:>8} {:04x}:{:04x}   {}\n", row.name, row.driver,
                    row.speed, row.vendor, row.id, row.text);
}

Result<void> reset(std::string_view function) {
  char name[16];
  if (function.size() >= sizeof(name))
    return fail(Errc::kNotFound, "no such PCI function: `drivers` lists them");
  base::format_into(name, "{}", function);
  int error = started ? shim_pci_reset(name) : kNoDevice;
  if (error == kNoDevice)
    return fail(Errc::kNotFound, "no such PCI function: `drivers` lists them");
  if (error == kNoWay) return fail(Errc::kUnsupported, "this function's driver cannot reset it");
  if (error != 0) return std::unexpected(from_errno(error));
  return {};
}

void starve_dma(u64 count) {
  shim_starve_dma(count);
}

constexpr devices::DriverService kService{list, list_usb, advise_all, reset, starve_dma};

}  // namespace

Result<void> start() {
  if (options::text(kDrivers) == "off") {
    started = true;
    return {};
  }
  devices::set_driver_service(kService);
  TRY(sched::spawn("linux-start", run_start, nullptr));
  devices::begin_search();
  return {};
}

bool wait_started(u64 deadline_ns) {
  while (!started && timing::now_ns() < deadline_ns) start_event.wait(deadline_ns);
  return started;
}

void devices_changed() {
  change_event.wake_all();
}

void count_entropy(u64 bits) {
  entropy_bits += bits;
}

void wake_interfaces() {
  for (usize i = 0; i < card_count; i++) cards[i].events().wake_all();
}

}  // namespace linux_drivers
