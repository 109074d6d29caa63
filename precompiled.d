precompiled.o: scripts/mk/precompiled.h kernel/base/containers.h \
 kernel/base/memory.h kernel/base/result.h kernel/base/types.h \
 kernel/base/format.h
kernel/base/containers.h:
kernel/base/memory.h:
kernel/base/result.h:
kernel/base/types.h:
kernel/base/format.h:
