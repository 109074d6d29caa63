// SPDX-License-Identifier: GPL-2.0-or-later
// Calls UEFI's functions by their place in its tables.
#include "boot/efi.h"

#include "kernel/base/bytes.h"

namespace boot {
namespace {

using Status = u64;

struct Guid {
  u32 a;
  u16 b, c;
  u8 d[8];
  bool operator==(const Guid&) const = default;
};
constexpr Guid kLoadedImage{
    0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b}},
    kFileSystem{0x964e5b22, 0x6459, 0x11d2, {0x8e, 0x39, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b}},
    kLoadFile2{0x4006c0c1, 0xfcb3, 0x403e, {0x99, 0x6d, 0x4a, 0x6c, 0x87, 0x24, 0xe0, 0x6d}},
    kGraphics{0x9042a9de, 0x23dc, 0x4a38, {0x96, 0xfb, 0x7a, 0xde, 0xd0, 0x80, 0x51, 0x6a}},
    kRandom{0x3152bca5, 0xeade, 0x433d, {0x86, 0x2e, 0xc0, 0x1c, 0xdc, 0x29, 0x1f, 0x44}},
    kDeviceTree{0xb1b621d5, 0xf19c, 0x41a5, {0x83, 0x0b, 0xd9, 0x15, 0x2c, 0x69, 0xaa, 0xe0}},
    kAcpi{0x8868e871, 0xe4f1, 0x11d3, {0xbc, 0x22, 0, 0x80, 0xc7, 0x3c, 0x88, 0x81}};

// Slots of the system table and of the boot services. A slot has eight bytes, and the headers take
// the first three (4.3, 4.4).
constexpr u32 kConsole = 8, kServices = 12, kTableCount = 13, kTables = 14;
constexpr u32 kAllocatePages = 5, kGetMemoryMap = 7, kHandleProtocol = 19, kLocateDevicePath = 23,
              kExitBootServices = 29, kSetWatchdogTimer = 32, kLocateProtocol = 40;

constexpr u64 kPage = 4 * kKiB, kLargePage = 2 * kMiB, kPiece = 16 * kMiB;
constexpr usize kMostLine = 4096, kMostPath = 256;

constinit char command_line[kMostLine];
constinit Byte seed[32];
constinit char names[StaticVector<BootModule, 16>::capacity()][kMostPath];

template <class... A>
Status call(Efi efi, u32 slot, A... arguments) {
  auto** services = static_cast<void**>(efi.table[kServices]);
  return reinterpret_cast<Status (*)(A...)>(services[slot])(arguments...);
}
template <class... A>
Status method(void* object, u32 slot, A... arguments) {
  return reinterpret_cast<Status (*)(void*, A...)>(static_cast<void**>(object)[slot])(object,
                                                                                      arguments...);
}
template <class T>
T field(const void* structure, usize offset) {
  return base::load<T>(static_cast<const Byte*>(structure) + offset);
}
void* protocol(Efi efi, void* handle, const Guid& guid) {
  void* found = nullptr;
  return call(efi, kHandleProtocol, handle, static_cast<const void*>(&guid), &found) == 0 ? found
                                                                                          : nullptr;
}

// ---- the command line ----------------------------------------------------------------------

// Returns the command line as ASCII. Two words that are not for us are dropped: the name of the
// image, which a shell puts first, and "initrd=", by which EDK2 names the ramdisk of QEMU's
// -initrd.
std::string_view read_options(const void* loaded) {
  constexpr usize kBytes = 48, kText = 56;
  const auto* text = field<const Byte*>(loaded, kText);
  usize count = text == nullptr ? 0 : std::min<usize>(field<u32>(loaded, kBytes) / 2, kMostLine);
  usize length = 0;
  for (usize i = 0; i < count; i++) {
    u16 unit = base::load<u16>(text + 2 * i);
    if (unit == 0) break;
    command_line[length++] = unit < 0x80 ? static_cast<char>(unit) : '?';
  }
  std::string_view line(command_line, length);
  while (line.ends_with(' ')) line.remove_suffix(1);
  usize last = line.rfind(' ') + 1;  // 0 when there is one word
  if (line.substr(last).starts_with("initrd=")) line.remove_suffix(line.size() - last);
  while (line.ends_with(' ')) line.remove_suffix(1);
  std::string_view first = line.substr(0, line.find(' '));
  if (first.ends_with(".efi") || first.ends_with(".EFI"))
    line.remove_prefix(std::min(first.size() + 1, line.size()));
  return line;
}

// ---- files ---------------------------------------------------------------------------------

// Returns memory at a multiple of 2 MiB, or 0 if there is none.
u64 room(Efi efi, u64 bytes) {
  constexpr u64 kAnywhere = 0, kLoaderData = 2;
  u64 at = 0, pages = (base::round_up(bytes, kPage) + kLargePage) / kPage;
  if (bytes > ~u64{0} - 2 * kLargePage) return 0;
  if (call(efi, kAllocatePages, kAnywhere, kLoaderData, pages, &at) != 0) return 0;
  return base::round_up(at, kLargePage);
}

void add_module(Efi efi, u64 base, u64 bytes, std::string_view name, BootInfo& out) {
  usize row = out.modules.size();
  if (row == out.modules.capacity() || name.size() > kMostPath)
    return say_efi(efi, "marrow: more files than it can take");
  std::memcpy(names[row], name.data(), name.size());
  ASSERT(out.modules.push_back({base, bytes, std::string_view(names[row], name.size())}));
}

// Reads the file that QEMU's -initrd, GRUB and systemd-boot offer under their vendor's path
// (Linux's LINUX_EFI_INITRD_MEDIA_GUID).
void read_ramdisk(Efi efi, BootInfo& out) {
  struct [[gnu::packed]] DevicePath {
    u8 type = 4, subtype = 3;  // media, vendor
    u16 bytes = 20;
    Guid guid{0x5568e427, 0x68fc, 0x4f3d, {0xac, 0x74, 0xca, 0x55, 0x52, 0x31, 0xcc, 0x68}};
    u32 end = 0x0004ff7f;
  };
  static constinit DevicePath path;
  void *at = &path, *handle = nullptr;
  if (call(efi, kLocateDevicePath, static_cast<const void*>(&kLoadFile2), &at, &handle) != 0)
    return;
  void* loader = protocol(efi, handle, kLoadFile2);
  u64 bytes = 0;
  if (loader == nullptr) return;
  constexpr u64 kNotTheBootPolicy = 0;
  method(loader, 0, at, kNotTheBootPolicy, &bytes, static_cast<void*>(nullptr));  // asks the length
  u64 base = bytes == 0 ? 0 : room(efi, bytes);
  if (bytes == 0) return;
  if (base == 0 ||
      method(loader, 0, at, kNotTheBootPolicy, &bytes, reinterpret_cast<void*>(base)) != 0)
    return say_efi(efi, "marrow: the initial ramdisk could not be loaded");
  add_module(efi, base, bytes, "initrd", out);
}

// Slots of EFI_FILE_PROTOCOL (13.5).
constexpr u32 kOpen = 1, kClose = 2, kRead = 4, kGetPosition = 6, kSetPosition = 7;
constexpr u64 kForReading = 1;

void* open_file(void* folder, const char16_t* path) {
  void* file = nullptr;
  return method(folder, kOpen, &file, path, kForReading, u64{0}) == 0 ? file : nullptr;
}

Result<void> read_pieces(void* file, u64 at, u64 bytes) {
  while (bytes > 0) {
    u64 part = std::min(bytes, kPiece);
    if (method(file, kRead, &part, reinterpret_cast<void*>(at)) != 0 || part == 0 || part > bytes)
      return fail(Errc::kIo, "a file ends before its end");
    bytes -= part;
    at += part;
  }
  return {};
}

void read_file(Efi efi, void* folder, const char16_t* path, std::string_view name, BootInfo& out) {
  void* file = open_file(folder, path);
  if (file == nullptr) return;
  u64 bytes = 0;
  method(file, kSetPosition, ~u64{0});  // the end
  method(file, kGetPosition, &bytes);
  method(file, kSetPosition, u64{0});
  u64 at = room(efi, bytes);
  if (at != 0 && read_pieces(file, at, bytes).has_value())
    add_module(efi, at, bytes, name, out);
  else
    say_efi(efi, "marrow: a file could not be loaded: too large for this machine's memory?");
  method(file, kClose);
}

// A folder of which every file is read, and its path as GRUB gives it (iso/grub.cfg).
struct Folder {
  const char16_t* path;
  std::string_view name;
};
constexpr Folder kFolders[] = {{u"\\boot\\keys", "/boot/keys/"}, {u"\\models", "/models/"}};

void read_folder(Efi efi, void* root, const Folder& wanted, BootInfo& out) {
  constexpr usize kAttributes = 72, kName = 80;  // offsets in EFI_FILE_INFO
  constexpr u64 kIsFolder = 0x10;
  void* folder = open_file(root, wanted.path);
  if (folder == nullptr) return;
  alignas(8) static constinit Byte info[kName + 2 * kMostPath];
  for (;;) {
    u64 bytes = sizeof info - 2;  // the last unit stays 0
    if (method(folder, kRead, &bytes, static_cast<void*>(info)) != 0 || bytes <= kName) break;
    const auto* name = reinterpret_cast<const char16_t*>(info + kName);
    char path[kMostPath];
    std::memcpy(path, wanted.name.data(), wanted.name.size());
    usize length = wanted.name.size();
    bool plain = (field<u64>(info, kAttributes) & kIsFolder) == 0;
    for (; *name != 0 && length < kMostPath; name++, length++) {
      plain = plain && *name > ' ' && *name < 0x7f;
      path[length] = static_cast<char>(*name);
    }
    const auto* wide = reinterpret_cast<const char16_t*>(info + kName);
    if (plain && *name == 0) read_file(efi, folder, wide, {path, length}, out);
  }
  method(folder, kClose);
}

struct File {
  const char16_t* path;
  std::string_view name;
};
constexpr File kFiles[] = {{u"\\marrow.cfg", "/marrow.cfg"},
                           {u"\\boot\\manifest.json", "/manifest.json"}};

void read_volume(Efi efi, void* device, BootInfo& out) {
  void *root = nullptr, *volume = device == nullptr ? nullptr : protocol(efi, device, kFileSystem);
  if (volume == nullptr || method(volume, 1, &root) != 0) return;  // slot 0 is the revision
  for (const File& file : kFiles) read_file(efi, root, file.path, file.name, out);
  for (const Folder& folder : kFolders) read_folder(efi, root, folder, out);
  method(root, kClose);
}

// ---- tables and devices --------------------------------------------------------------------

void read_tables(Efi efi, BootInfo& out) {
  auto count = reinterpret_cast<u64>(efi.table[kTableCount]);
  const auto* rows = static_cast<const Byte*>(efi.table[kTables]);
  constexpr usize kRow = 24;
  for (u64 i = 0; i < count; i++, rows += kRow) {
    auto guid = field<Guid>(rows, 0);
    if (guid == kAcpi) out.acpi_rsdp = field<u64>(rows, sizeof(Guid));
    if (guid == kDeviceTree) out.device_tree = field<u64>(rows, sizeof(Guid));
  }
}

// Reads the screen as the firmware has set it up (12.9).
void read_screen(Efi efi, BootInfo& out) {
  void* graphics = nullptr;
  if (call(efi, kLocateProtocol, static_cast<const void*>(&kGraphics), static_cast<void*>(nullptr),
           &graphics) != 0)
    return;
  const void* mode = static_cast<void**>(graphics)[3];
  if (mode == nullptr) return;
  const auto* info = field<const Byte*>(mode, 8);
  u32 format = field<u32>(info, 12);
  constexpr u32 kRedFirst = 0, kBlueFirst = 1;
  if (format != kRedFirst && format != kBlueFirst) return;
  bool red_low = format == kRedFirst;
  out.framebuffer = {.base = field<u64>(mode, 24),
                     .width = field<u32>(info, 4),
                     .height = field<u32>(info, 8),
                     .pitch = field<u32>(info, 32) * 4,
                     .bits_per_pixel = 32,
                     .red_shift = static_cast<u8>(red_low ? 0 : 16),
                     .green_shift = 8,
                     .blue_shift = static_cast<u8>(red_low ? 16 : 0)};
}

void read_random(Efi efi, BootInfo& out) {
  void* source = nullptr;
  if (call(efi, kLocateProtocol, static_cast<const void*>(&kRandom), static_cast<void*>(nullptr),
           &source) != 0)
    return;
  if (method(source, 1, static_cast<void*>(nullptr), u64{sizeof seed}, seed) == 0)
    out.random_seed = seed;
}

// ---- memory --------------------------------------------------------------------------------

struct MemoryType {
  bool is_memory;
  MemoryKind kind;
};
// Rows by EFI_MEMORY_TYPE (7.2). Registers are no memory. We never call runtime services, but keep
// their code, because the firmware may use it elsewhere.
constexpr MemoryType kTypes[] = {
    {true, MemoryKind::kReserved},        {true, MemoryKind::kUsable},    // loader code
    {true, MemoryKind::kUsable},                                          // loader data
    {true, MemoryKind::kUsable},          {true, MemoryKind::kUsable},    // boot services
    {true, MemoryKind::kReserved},        {true, MemoryKind::kReserved},  // runtime services
    {true, MemoryKind::kUsable},          {true, MemoryKind::kBad},
    {true, MemoryKind::kAcpiReclaimable}, {true, MemoryKind::kAcpiNvs},
    {false, MemoryKind::kReserved},       {false, MemoryKind::kReserved},
    {true, MemoryKind::kReserved},        {true, MemoryKind::kReserved}};

Result<void> add_memory(const Byte* row, BootInfo& out) {
  u32 type = field<u32>(row, 0);
  u64 base = field<u64>(row, 8), pages = field<u64>(row, 24);
  MemoryType is = type < std::size(kTypes) ? kTypes[type] : MemoryType{true, MemoryKind::kReserved};
  if (!is.is_memory || pages == 0) return {};
  u64 bytes = TRY(base::checked_mul(pages, kPage));
  if (bytes > ~base) return fail(Errc::kCorrupt, "a memory range wraps");
  if (!out.memory.empty()) {
    MemoryRange& last = out.memory[out.memory.size() - 1];
    if (last.kind == is.kind && last.base + last.size == base) {
      last.size += bytes;
      return {};
    }
  }
  if (!out.memory.push_back({base, bytes, is.kind}))
    return fail(Errc::kFull, "too many memory ranges");
  return {};
}

}  // namespace

void say_efi(Efi efi, const char* text) {
  char16_t line[kMostPath];
  usize length = 0;
  for (; *text != 0 && length < kMostPath - 3; text++) line[length++] = static_cast<u8>(*text);
  for (char16_t end : {u'\r', u'\n', u'\0'}) line[length++] = end;
  if (efi.table[kConsole] != nullptr)
    method(efi.table[kConsole], 1, static_cast<const char16_t*>(line));
}

Result<void> read_efi(Efi efi, BootInfo& out) {
  void* loaded = protocol(efi, efi.image, kLoadedImage);
  if (loaded == nullptr) return fail(Errc::kUnsupported, "UEFI does not know its own image");
  out.loader = "UEFI";
  // The watchdog would reset the machine five minutes after our start. Loading a large model takes
  // longer.
  call(efi, kSetWatchdogTimer, u64{0}, u64{0}, u64{0}, static_cast<void*>(nullptr));
  out.command_line = read_options(loaded);
  read_ramdisk(efi, out);
  constexpr usize kDevice = 24;
  read_volume(efi, field<void*>(loaded, kDevice), out);
  read_tables(efi, out);
  read_screen(efi, out);
  read_random(efi, out);
  return {};
}

namespace {

struct MemoryMap {
  u64 bytes, key, step;
};
alignas(8) constinit Byte map_rows[64 * kKiB];

Result<MemoryMap> read_map(Efi efi, BootInfo& out) {
  MemoryMap map{.bytes = sizeof map_rows, .key = 0, .step = 0};
  u32 version = 0;
  if (call(efi, kGetMemoryMap, &map.bytes, map_rows, &map.key, &map.step, &version) != 0)
    return fail(Errc::kFull, "UEFI's memory map has more rows than room");
  constexpr u64 kLeast = 40;
  if (map.step < kLeast) return fail(Errc::kCorrupt, "UEFI's memory map has rows of no known kind");
  out.memory.clear();
  for (u64 at = 0; at + map.step <= std::min<u64>(map.bytes, sizeof map_rows); at += map.step)
    TRY(add_memory(map_rows + at, out));
  return map;
}

}  // namespace

Result<void> read_efi_memory(Efi efi, BootInfo& out) {
  TRY(read_map(efi, out));
  return {};
}

Result<void> leave_efi(Efi efi, BootInfo& out) {
  // The map may change meanwhile, and the firmware accepts only the newest, so this tries again.
  for (u32 attempt = 0; attempt < 8; attempt++) {
    MemoryMap map = TRY(read_map(efi, out));
    if (call(efi, kExitBootServices, efi.image, map.key) == 0) return {};
  }
  return fail(Errc::kBusy, "UEFI does not end its boot services");
}

}  // namespace boot
