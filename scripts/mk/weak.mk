# build/weak/weak_tests: the code that CPUs share, in every order that weakly ordered memory allows.
# The tests and the sources they include are instrumented as for ThreadSanitizer, whose functions
# tests/weak/accesses.cpp replaces; the explorer itself is not.
WEAK := $(BUILD)/weak
WEAK_TESTS := $(WEAK)/weak_tests
WEAK_FLAGS := $(LANGUAGE) $(WARN) -I. -Itests/weak/include -I$(BUILD)/generated -O1 -g$(G) -D_GLIBCXX_ASSERTIONS \
  -MMD -MP -DMARROW_HOSTED=1
WEAK_SRC := $(wildcard tests/weak/*.cpp) $(addprefix kernel/base/,test.cpp format.cpp result.cpp text_width.cpp)
WEAK_OBJ := $(WEAK_SRC:%.cpp=$(WEAK)/%.o)
$(WEAK)/%_test.o: WEAK_FLAGS += -fsanitize=thread -mllvm -tsan-instrument-func-entry-exit=0
$(WEAK)/%.o: %.cpp | setup $$(GENERATED)
	$(call compiling,WEAK,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANGXX) $(WEAK_FLAGS) -c $< -o $@
$(WEAK_TESTS): $(WEAK_OBJ)
	$(call say,LINK,$@)
	$(Q)clang++-19 -o $@ $^
.PHONY: test-weak
test-weak: $(WEAK_TESTS)  ## worker pool, log and trace rings in every order of a weakly ordered memory
	$(Q)$(WEAK_TESTS)
-include $(WEAK_OBJ:.o=.d)
