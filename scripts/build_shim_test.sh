#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the shim's unit tests for a process, under ASan and UBSan, with Linux's real headers and the
# library objects of build_linux.sh, which has run before. Usage: build_shim_test.sh OUT
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD out=$1 work=$PWD/build/linux
objects=$work/objects
# Linux's flags without those that only a kernel may have.
flags=$(sed -E 's/-mcmodel=kernel|-mpreferred-stack-boundary=3|-Wframe-larger-than=[0-9]+|-fomit-frame-pointer//g' "$work/flags")
sanitize="-fsanitize=address,undefined -fno-sanitize=alignment,object-size,vptr -fno-sanitize-recover=all"
mkdir -p "$work/test"
parts=()
for source in drivers/linux/shim/{mm,sync,task,lock_order,time,softirq,workqueue,skb,offload,dma,print,misc,usb}.c drivers/linux/shim/x86_64/memory.c tests/shim/shim_test.c; do
  name=$(basename "$source" .c) object=$work/test/$(basename "$source" .c).o
  parts+=("$object")
  (cd "$objects" && eval gcc "$flags" -include "$top/tests/shim/irqflags.h" -g $sanitize -I"$top" \
    -DKBUILD_MODNAME="'\"shim\"'" -DKBUILD_BASENAME="'\"$name\"'" -D__KBUILD_MODNAME=kmod_shim \
    -Wno-unused-parameter -c -o "$object" "$top/$source")
done
for name in string find_bit ctype hexdump bitmap scatterlist kstrtox vsprintf uuid refcount; do parts+=("$objects/lib/$name.o"); done
parts+=("$objects/arch/x86/lib/hweight.o")
ld -r -z noexecstack -o "$work/test/shim.o" "${parts[@]}"
objcopy --wildcard --keep-global-symbol='shim_*' --redefine-sym memcpy=shim_host_memcpy \
  --redefine-sym memmove=shim_host_memmove "$work/test/shim.o"
# Library functions may call into parts of Linux that are not here; none of these calls is made.
g++ -std=c++23 -O1 -g -Wall -Wextra -Werror -no-pie -pthread -Wl,--unresolved-symbols=ignore-in-object-files $sanitize -I. -o "$out" tests/shim/host.cpp "$work/test/shim.o"
