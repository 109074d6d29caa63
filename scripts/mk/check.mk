# `make check`: everything that a change must pass besides the tests.
CHECK := $(BUILD)/check
FORMAT_FILES = $(shell git ls-files -co --exclude-standard '*.cpp' '*.h' | grep -v '^drivers/linux/')
# The machine side compiles for ring 0 only; everything else is checked as the hosted tests see it.
TIDY_HOSTED := $(filter-out arch/x86_64/simd/% arch/aarch64/%,$(SAN_LIB_SRC))
# Files that are written for GCC alone are left out (its attributes, and names that the language reserves).
TIDY_GCC_ONLY := $(addprefix arch/x86_64/,memory_functions.cpp descriptors.cpp) $(addprefix kernel/,runtime.cpp string_functions.cpp ubsan.cpp)
TIDY_MACHINE := $(filter-out $(TEST_PURE_SRC) $(TIDY_GCC_ONLY),$(MACHINE_SRC))
# With ARCH=aarch64 only what no other architecture has is looked at: the rest was.
ifneq ($(ARCH),x86_64)
TIDY_HOSTED :=
TIDY_MACHINE := $(filter arch/$(ARCH)/% drivers/serial/% drivers/platform/%,$(TIDY_MACHINE))
endif
TIDY_FLAGS_HOSTED := $(filter-out -fsanitize=% -fno-sanitize-recover=all -MMD -MP,$(SAN_FLAGS))
TIDY_FLAGS_MACHINE := $(filter-out -MMD -MP -mgeneral-regs-only $(ARCH_GCC_FLAGS),$(KERNEL_FLAGS)) $(ARCH_CLANG_FLAGS) -Wno-unused-command-line-argument
# The one program that comes from PyPI. It is kept outside $(CHECK), whose stamps outlive it.
TIDY_HOME := $(BUILD)/third_party/clang-tidy
CLANG_TIDY := $(TIDY_HOME)/clang_tidy/data/bin/clang-tidy
$(CLANG_TIDY): scripts/check_requirements.txt | setup
	$(call say,FETCH,clang-tidy)
	$(Q)rm -rf $(TIDY_HOME)
	$(Q)pip3 install --quiet --disable-pip-version-check --root-user-action=ignore --require-hashes --no-deps --only-binary :all: --target $(TIDY_HOME) -r $<
	@touch $@

.PHONY: check check-fast format compile-commands tidy analyze
check-fast: $(CLANG_TIDY) | setup  ## layering, style and formatting: seconds
	$(Q)python3 scripts/check_layering.py --self-test
	$(Q)python3 scripts/check_layering.py
	$(Q)python3 scripts/check_style.py --self-test
	$(Q)python3 scripts/check_style.py
	$(Q)python3 scripts/check_image.py --self-test
	$(Q)python3 scripts/gen_linux_page.py --check
	$(Q)clang-format-19 --dry-run -Werror $(FORMAT_FILES)
	@echo "format: no fault"
	$(Q)python3 scripts/check_tools.py $(CLANG_TIDY) $(filter-out -MMD -MP,$(KERNEL_FLAGS)) -- $(filter-out -MMD -MP %fuzzer-no-link,$(SAN_FLAGS)) -fsanitize=address,undefined

.PHONY: quick
quick: check-fast test-hosted  ## the loop of daily work: check-fast and the unit tests (some minutes on a built tree)

# Tools that are run by hand are linked, too, or nobody would notice when they no longer link.
check: check-fast check-wiki kernel host $(UNIT_TESTS) $$(HOSTILE_MODELS) $$(MODEL_CHECK) $$(PACK) $(BUILD)/tools/tokenize tidy  ## everything that CI checks: both compilers, layering, style, clang-tidy
	@echo "check: passed"

# The twin prints the tables of options and commands that the pages are written from.
.PHONY: check-wiki
check-wiki: host  ## no page that `make wiki` writes is stale
	$(Q)python3 scripts/gen_wiki.py --check
	@echo "wiki: no page is stale"

format: | setup  ## clang-format on every file
	$(Q)clang-format-19 -i $(FORMAT_FILES)

# The path-sensitive analyzer takes six times as long as the gated checks: run it now and then.
analyze: $(GENERATED) $(CLANG_TIDY) | setup  ## clang's static analyzer on every file: half an hour
	$(Q)for f in $(TIDY_HOSTED); do \
	  $(CLANG_TIDY) --quiet --checks='-*,clang-analyzer-*' $$f -- $(TIDY_FLAGS_HOSTED) 2>$(BUILD)/analyze.err || exit 1; done

compile-commands: compile_commands.json  ## for editors
compile_commands.json: FORCE | $$(GENERATED)
	$(Q)python3 scripts/gen_compile_commands.py $@ $(TIDY_FLAGS_HOSTED) -- $(TIDY_HOSTED) $(TEST_SRC)

# clang-tidy runs only on files that changed since they last passed (a stamp a file).
tidy: $(TIDY_HOSTED:%=$(CHECK)/hosted/%.ok) $(TIDY_MACHINE:%=$(CHECK)/machine/%.ok)  ## clang-tidy
	@echo "tidy: no fault"
$(CHECK)/hosted/%.ok: % .clang-tidy $(CLANG_TIDY) $(SAN_DIR)/$$(basename $$*).o | setup $$(GENERATED)
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG_TIDY) --quiet $< -- $(TIDY_FLAGS_HOSTED) 2>$@.err || { cat $@.err; exit 1; }
	@touch $@
$(CHECK)/machine/%.ok: % .clang-tidy $(CLANG_TIDY) $(TARGET)/kernel/$$(basename $$*).o | setup $$(GENERATED)
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG_TIDY) --quiet $< -- $(TIDY_FLAGS_MACHINE) 2>$@.err || { cat $@.err; exit 1; }
	@touch $@
