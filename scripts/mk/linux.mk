# The unmodified Linux drivers and their shim, one relocatable object (wiki/Drivers.md).
$(LINUX_OBJ): drivers/linux/drivers.list drivers/linux/config drivers/linux/fatal.list drivers/linux/host.h \
  $(wildcard drivers/linux/shim/*) scripts/build_linux.sh scripts/gen_linux_stubs.py scripts/third_party.lock | $(SETUP_DONE)
	@MAKEFLAGS= MAKELEVEL= scripts/build_linux.sh $@
