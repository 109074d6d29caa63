# `[ 12/431]` before the line of a file that is compiled. The total is the objects of the goals that
# were not there when the first one was compiled: right for a first build. A later one, which
# compiles again what changed, does not know how many there are and does not count.
HOST_GOALS := all host test test-system test-net-long test-clients test-page bench bench-http wiki check
SAN_GOALS := test check test-hosted test-images
A64_GOALS := test test-aarch64
KERNEL_GOALS := all kernel run iso debug test test-qemu test-system test-machines test-boots test-bochs test-locks test-rough-net test-gigabyte \
  test-clients bench-machine check
counted = $(if $(filter $(1),$(or $(MAKECMDGOALS),all)),$(2))
STEP_OBJ = $(sort $(call counted,$(KERNEL_GOALS),$(filter-out $(LINUX_OBJ),$(KERNEL_LINK_OBJ))) \
  $(call counted,$(HOST_GOALS),$(ENGINE_OBJ) $(HOST_OBJ) $(LWIP_HOST_OBJ) $(WOLFSSL_HOST_OBJ)) \
  $(call counted,$(SAN_GOALS),$(SAN_LIB_OBJ) $(SAN_TEST_OBJ) $(LWIP_SAN_OBJ) $(WOLFSSL_SAN_OBJ)) \
  $(call counted,test test-fuzz,$(FUZZ_TARGETS:$(FUZZ)/%=$(SAN_DIR)/tests/fuzz/%.o)) \
  $(call counted,$(A64_GOALS),$(A64_OBJ)))
STEP :=
next_step = $(eval STEP += x)$(if $(STEPS),,$(eval STEPS := $(words $(filter-out $(wildcard $(STEP_OBJ)),$(STEP_OBJ)))))$(if \
  $(filter 0,$(STEPS)),,$(if $(word $(words $(STEP)),$(wordlist 1,$(STEPS),$(STEP))),[$(words $(STEP))/$(STEPS)]))
