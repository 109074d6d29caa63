// SPDX-License-Identifier: GPL-2.0-or-later
// Tests IOMMUs that the firmware left on, with models of their registers.
#include "kernel/acpi/iommu.h"
#include "kernel/base/test.h"

namespace {

constexpr u32 kTranslation = u32{1} << 31, kQueue = 1 << 26, kInterrupts = 1 << 25, kRoot = 1 << 30;

// A command takes effect after some reads of the status.
class IntelUnit final : public acpi::IommuRegisters {
 public:
  u32 status = 0, protect = 0, writes = 0;
  bool obeys = true;

  u32 read(u32 offset) override {
    if (delay_ == 1) status = wanted_;
    if (delay_ > 0) delay_--;
    if (offset == 0x1c) return status;
    return offset == 0x64 ? protect : 0;
  }
  void write(u32 offset, u32 value) override {
    writes++;
    if (!obeys) return;
    if (offset == 0x64) protect = (value >> 31) != 0 ? protect : 0;
    if (offset != 0x18) return;
    EXPECT_EQ(value & kRoot, 0u);  // a one-shot command must not be given again
    wanted_ = value | (status & kRoot);
    delay_ = 5;
  }
  TestContext& test;
  explicit IntelUnit(TestContext& t) : test(t) {}

 private:
  u32 wanted_ = 0, delay_ = 0;
};

class AmdUnit final : public acpi::IommuRegisters {
 public:
  u32 control = 0;
  bool obeys = true;
  u32 read(u32) override { return control; }
  void write(u32 offset, u32 value) override {
    if (offset == 0x18 && obeys) control = value;
  }
};

}  // namespace

TEST(acpi_iommu, intel_units_are_turned_off_bit_by_bit) {
  using enum acpi::IommuState;
  IntelUnit unit(test);
  EXPECT(acpi::turn_off_iommu(acpi::Iommu::Kind::kIntel, unit) == kWasOff);
  EXPECT_EQ(unit.writes, 0u);
  unit.status = kTranslation | kRoot | kQueue | kInterrupts;
  unit.protect = u32{1} << 31 | 1;
  EXPECT(acpi::turn_off_iommu(acpi::Iommu::Kind::kIntel, unit) == kTurnedOff);
  EXPECT_EQ(unit.status, kRoot | kQueue);
  EXPECT_EQ(unit.protect, 0u);
  unit.status = ~u32{0};  // no such unit
  EXPECT(acpi::turn_off_iommu(acpi::Iommu::Kind::kIntel, unit) == kWasOff);
}

TEST(acpi_iommu, units_that_do_not_obey_end_the_wait) {
  using enum acpi::IommuState;
  IntelUnit intel(test);
  intel.obeys = false;
  intel.status = kTranslation;
  EXPECT(acpi::turn_off_iommu(acpi::Iommu::Kind::kIntel, intel) == kStays);
  intel.status = 0;
  intel.protect = u32{1} << 31 | 1;
  EXPECT(acpi::turn_off_iommu(acpi::Iommu::Kind::kIntel, intel) == kStays);
  AmdUnit amd;
  amd.obeys = false;
  amd.control = 1;
  EXPECT(acpi::turn_off_iommu(acpi::Iommu::Kind::kAmd, amd) == kStays);
}

TEST(acpi_iommu, amd_units_are_turned_off) {
  using enum acpi::IommuState;
  AmdUnit unit;
  EXPECT(acpi::turn_off_iommu(acpi::Iommu::Kind::kAmd, unit) == kWasOff);
  unit.control = 1 | 1 << 2 | 1 << 10 | 1 << 12;
  EXPECT(acpi::turn_off_iommu(acpi::Iommu::Kind::kAmd, unit) == kTurnedOff);
  EXPECT_EQ(unit.control, u32{1} << 10);
}
