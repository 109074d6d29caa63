#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Starts Marrow in QEMU with the usual devices and prints the command line it uses.
#
#   run_qemu.sh [--elf FILE | --iso FILE] [--model FILE] [--append "OPTIONS"] [--cpus N] [--memory SIZE]
#               [--display] [--net none|virtio|e1000e] [--serial CHARDEV] [--print-accel] [-- QEMU ARGUMENTS]
#
# --elf (default build/x86_64/marrow.elf) enters the kernel directly; --iso goes through GRUB. A kernel that
# ends in .efi is ARM64's and gets an ARM64 machine, always emulated.
# KVM is used only if a probe shows that it runs guests at speed; ACCEL=kvm|tcg overrides the probe.
# The guest's port 8080 is reached at port 8080 of this machine (PORT=n), or at the next free one.
set -euo pipefail
cd "$(dirname "$0")/.."

elf=build/x86_64/marrow.elf iso="" model="" append="" cpus=2 memory=2G display=none net=virtio serial=mon:stdio extra=()
print_accel=no

die() { printf 'run_qemu: %s\n' "$1" >&2; exit 2; }

while [ $# -gt 0 ]; do
  case "$1" in
    --elf) elf=$2; shift 2 ;;
    --iso) iso=$2; shift 2 ;;
    --model) model=$2; shift 2 ;;
    --append) append=$2; shift 2 ;;
    --cpus) cpus=$2; shift 2 ;;
    --memory) memory=$2; shift 2 ;;
    --net) net=$2; shift 2 ;;
    --serial) serial=$2; shift 2 ;;
    --display) display=gtk; shift ;;
    --print-accel) print_accel=yes; shift ;;
    --help|-h) sed -n '3,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --) shift; extra=("$@"); break ;;
    *) die "unknown argument $1 (try --help)" ;;
  esac
done

# Probes KVM: it must open, and run a known loop within a second. Some hosts emulate every instruction.
kvm_works() {
  [ -r /dev/kvm ] && [ -w /dev/kvm ] || return 1
  local rom=build/kvm_probe.rom status=0
  mkdir -p build
  [ -e "$rom" ] && [ "$rom" -nt scripts/probe/kvm_probe.asm ] || nasm -f bin -o "$rom" scripts/probe/kvm_probe.asm
  timeout 1 qemu-system-x86_64 -accel kvm -machine pc -bios "$rom" -display none -nodefaults -no-reboot \
    -device isa-debug-exit,iobase=0xf4,iosize=1 >build/kvm_probe.log 2>&1 || status=$?
  [ "$status" = 33 ]
}

case "$elf" in
  *.efi)
    accel=tcg,thread=multi
    command=(qemu-system-aarch64 -machine "virt,gic-version=3" -accel "$accel" -cpu "${CPU:-cortex-a72}" -smp "$cpus" -m "$memory" -no-reboot)
    ;;
  *)
    case "${ACCEL:-auto}" in
      kvm) accel=kvm ;;
      tcg) accel=tcg ;;
      *) if kvm_works; then accel=kvm; else accel=tcg; fi ;;
    esac
    if [ "$print_accel" = yes ]; then echo "$accel"; exit 0; fi
    if [ "$accel" = kvm ]; then
      cpu=host
    else
      # Emulated AVX is many times slower than emulated SSE.
      accel=tcg,thread=multi cpu=max,-avx,-avx2,-fma,-f16c
    fi
    command=(qemu-system-x86_64 -machine q35 -accel "$accel" -cpu "${CPU:-$cpu}" -smp "$cpus" -m "$memory"
      -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4)
    ;;
esac
command+=(-display "$display" -serial "$serial")

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
port=${PORT:-8080}
if [ "$net" != none ] && taken "$port"; then
  while taken "$port"; do port=$((port + 1)); done
  printf 'run_qemu: port %s is taken: the API will be at 127.0.0.1:%s\n' "${PORT:-8080}" "$port" >&2
fi
case "$net" in
  none) command+=(-nic none) ;;
  virtio) command+=(-nic user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:$port-:8080) ;;
  e1000e) command+=(-nic user,model=e1000e,hostfwd=tcp:127.0.0.1:$port-:8080) ;;
  *) die "--net is none, virtio or e1000e" ;;
esac
if [ -n "$iso" ]; then
  [ -e "$iso" ] || die "$iso is missing: make iso"
  command+=(-cdrom "$iso" -boot d)
  [ -z "$append" ] || die "--append needs --elf: an ISO carries its options in marrow.cfg"
else
  [ -e "$elf" ] || die "$elf is missing: make kernel"
  command+=(-kernel "$elf")
  [ -z "$append" ] || command+=(-append "$append")
  if [ -n "$model" ]; then
    [ -e "$model" ] || die "model $model is missing: python3 scripts/fetch_model.py"
    command+=(-initrd "$model")  # the kernel gets it as its first boot module
  fi
fi
command+=("${extra[@]}")

printf '%q ' "${command[@]}"
printf '\n'
exec "${command[@]}"
