// SPDX-License-Identifier: GPL-2.0-or-later
// Makes keyboards of Linux's input core press keys of the console, named by their PS/2 set 1 code.
#include <linux/init.h>
#include <linux/input.h>

#include "drivers/linux/shim/shim.h"

enum { kGrey = 0xe000 };
// Up to KEY_F10 and KEY_102ND to KEY_F12 Linux's numbers are the codes themselves.
static const struct {
  u16 key, code;
} kGreyKeys[] = {
    {KEY_KPENTER, 0x1c}, {KEY_RIGHTCTRL, 0x1d}, {KEY_KPSLASH, 0x35}, {KEY_RIGHTALT, 0x38}, {KEY_HOME, 0x47},
    {KEY_UP, 0x48},      {KEY_PAGEUP, 0x49},    {KEY_LEFT, 0x4b},    {KEY_RIGHT, 0x4d},    {KEY_END, 0x4f},
    {KEY_DOWN, 0x50},    {KEY_PAGEDOWN, 0x51},  {KEY_INSERT, 0x52},  {KEY_DELETE, 0x53},
};
static unsigned int code_of(unsigned int key) {
  if (key <= KEY_KPDOT || (key >= KEY_102ND && key <= KEY_F12)) return key;
  for (int i = 0; i < ARRAY_SIZE(kGreyKeys); i++) {
    if (kGreyKeys[i].key == key) return kGrey | kGreyKeys[i].code;
  }
  return 0;
}

static void on_event(struct input_handle *handle, unsigned int type, unsigned int key, int value) {
  unsigned int code = type == EV_KEY ? code_of(key) : 0;
  if (code) shim_host_key(code, value != 0);  // 2 is a repeat: pressed again
}
static int on_connect(struct input_handler *handler, struct input_dev *device, const struct input_device_id *id) {
  struct input_handle *handle = kzalloc(sizeof(*handle), GFP_KERNEL);
  if (!handle) return -ENOMEM;
  handle->dev = device;
  handle->handler = handler;
  handle->name = "console";
  int error = input_register_handle(handle);
  if (!error) error = input_open_device(handle);
  if (error) {
    kfree(handle);
    return error;
  }
  pr_info("%s: types into the console\n", device->name);
  return 0;
}
static void on_disconnect(struct input_handle *handle) {
  input_close_device(handle);
  input_unregister_handle(handle);
  kfree(handle);
}
// Matches everything that has letters; mice and power buttons are ignored.
static const struct input_device_id kKeyboards[] = {
    {.flags = INPUT_DEVICE_ID_MATCH_EVBIT | INPUT_DEVICE_ID_MATCH_KEYBIT,
     .evbit = {BIT_MASK(EV_KEY)},
     .keybit = {[BIT_WORD(KEY_A)] = BIT_MASK(KEY_A)}},
    {},
};
static struct input_handler handler = {
    .event = on_event, .connect = on_connect, .disconnect = on_disconnect, .name = "console", .id_table = kKeyboards};

static int __init start(void) { return input_register_handler(&handler); }
device_initcall(start);

void add_input_randomness(unsigned int type, unsigned int code, unsigned int value) {}
ktime_t ktime_mono_to_any(ktime_t monotonic, enum tk_offsets offset) { return monotonic; }
