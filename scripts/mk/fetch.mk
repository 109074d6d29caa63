# Every third-party source of the lock, fetched into the cache at once: apt's lists are read once.
THIRD_PARTY := $(BUILD)/third_party/.fetched
$(THIRD_PARTY): scripts/third_party.lock scripts/fetch_third_party.py | setup
	$(Q)python3 scripts/fetch_third_party.py
	@mkdir -p $(@D) && touch $@
