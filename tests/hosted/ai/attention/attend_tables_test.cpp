// SPDX-License-Identifier: GPL-2.0-or-later
// Compares the attention of every kernel table with the reference, and with itself in other
// batches, by memcmp.
#include "ai/attention/attend.h"

#include <algorithm>
#include <bit>

#include "kernel/arch_contract.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/kernels/fixture.h"

namespace {

using namespace kernels_fixture;

struct Shape {
  KvType type;
  u32 key_width, value_width;
  float soft_cap;
};
constexpr Shape kShapes[] = {
    {KvType::kF16, 64, 64, 0},   {KvType::kF16, 80, 96, 0},    {KvType::kF16, 100, 72, 25},
    {KvType::kF16, 256, 256, 0}, {KvType::kF16, 576, 512, 0},  {KvType::kQ8, 64, 64, 0},
    {KvType::kQ8, 100, 72, 25},  {KvType::kQ8, 128, 128, 0},   {KvType::kQ8, 576, 512, 0},
    {KvType::kQ8Q4, 64, 64, 0},  {KvType::kQ8Q4, 80, 96, 0},   {KvType::kQ8Q4, 100, 72, 25},
    {KvType::kQ8Q4, 8, 8, 0},    {KvType::kQ8Q4, 128, 128, 0}, {KvType::kQ4, 64, 64, 0},
    {KvType::kQ4, 100, 72, 25},  {KvType::kQ4, 256, 256, 0},   {KvType::kQ4, 576, 512, 0},
};

constexpr u32 kPages = 4, kQueries = 11;

// Page contents, queries at several positions and windows, two sets of outputs.
class Scene {
 public:
  explicit Scene(const Shape& shape) : shape_(shape) {
    usize bytes = kv_page_bytes(shape.type, shape.key_width, shape.value_width);
    Random random{shape.key_width};
    static float row[kMaxHeadWidth];
    for (u32 page = 0; page < kPages; page++) {
      pages_[page] = allocate_bytes(bytes);
      std::memset(pages_[page], 0xff, bytes);
    }
    for (u32 p = 0; p < kPages * kPagePositions - 9; p++) {
      Byte* page = pages_[p / kPagePositions];
      for (float& x : row) x = random.next() * (p % 5 == 0 ? 8.0f : 1.0f);
      if (p % 11 == 0) std::memset(row, 0, sizeof row);
      store_key(shape.type, page, shape.key_width, p % kPagePositions, row);
      store_value(shape.type, page, shape.key_width, shape.value_width, p % kPagePositions, row);
    }
    for (u32 i = 0; i < kQueries; i++) {
      for (float& x : vectors_[i]) x = random.next() * 4;
      u32 end = i % 3 == 0 ? kPages * kPagePositions - 9 : 20 + 9 * i;
      u32 begin = i % 4 == 1 ? end - 13 : 0;
      queries_[i] = {vectors_[i], nullptr, begin, end};
    }
  }
  ~Scene() {
    for (Byte* page : pages_) base::deallocate(page);
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  // `together` queries a job.
  void run(const KernelTable& table, u32 together, float (&out)[kQueries][kMaxHeadWidth]) {
    for (u32 i = 0; i < kQueries; i++) queries_[i].out = out[i];
    for (u32 i = 0; i < kQueries; i += together) {
      AttendJob job{pages_, shape_.type,     shape_.key_width, shape_.value_width,
                    0.125f, shape_.soft_cap, queries_ + i,     std::min(together, kQueries - i)};
      table.attend(job);
    }
  }

 private:
  Shape shape_;
  Byte* pages_[kPages];
  float vectors_[kQueries][kMaxHeadWidth];
  AttendQuery queries_[kQueries];
};

float wanted[kQueries][kMaxHeadWidth], got[kQueries][kMaxHeadWidth];

bool same(const Shape& shape) {
  for (u32 i = 0; i < kQueries; i++)
    if (std::memcmp(wanted[i], got[i], shape.value_width * sizeof(float)) != 0) return false;
  return true;
}

}  // namespace

TEST(attend_tables, have_the_bits_of_the_reference_in_any_company) {
  for (const Shape& shape : kShapes) {
    Scene scene(shape);
    scene.run(kReferenceKernels, 1, wanted);
    for (const KernelTable* table : arch_kernel_tables()) {
      if (!arch::Cpu::cpu_features().has_all(table->needs)) continue;
      for (u32 together : {1u, 2u, 3u, 5u, 11u}) {
        std::memset(got, 0, sizeof got);
        scene.run(*table, together, got);
        EXPECT(same(shape));
      }
    }
    scene.run(kReferenceKernels, 11, got);
    EXPECT(same(shape));
  }
}

// FNV-1a over the bits of every output of a type, written down once for every CPU.
TEST(attend_tables, the_reference_has_the_same_bits_on_every_cpu) {
  constexpr u64 kBits[] = {0xcbd95f8210409c81, 0xc9d08f49f25237e3, 0xeef8e4983bbffab9,
                           0x47f63f6b9b999dec};
  u64 found[usize(KvType::kCount)];
  std::ranges::fill(found, 0xcbf29ce484222325);
  for (const Shape& shape : kShapes) {
    Scene scene(shape);
    scene.run(kReferenceKernels, 1, wanted);
    u64& hash = found[static_cast<usize>(shape.type)];
    for (const auto& out : wanted)
      for (u32 d = 0; d < shape.value_width; d++)
        hash = (hash ^ std::bit_cast<u32>(out[d])) * 0x100000001b3;
  }
  for (usize type = 0; type < std::size(found); type++) EXPECT_EQ(found[type], kBits[type]);
}
