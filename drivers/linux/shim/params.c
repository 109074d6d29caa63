// SPDX-License-Identifier: GPL-2.0-or-later
// Module parameters: "nvme_core.io_timeout=2" words of drivers.parameters= set the variables that the
// drivers declared, before any of them starts.
#include <linux/moduleparam.h>

#include "drivers/linux/shim/shim.h"

#define SETTER(name, type, parse)                                        \
  static int set_##name(const char *value, const struct kernel_param *p) { \
    return parse(value, 0, (type *)p->arg);                              \
  }                                                                      \
  const struct kernel_param_ops param_ops_##name = {.set = set_##name};
SETTER(byte, u8, kstrtou8)
SETTER(ushort, u16, kstrtou16)
SETTER(int, int, kstrtoint)
SETTER(uint, unsigned int, kstrtouint)
SETTER(ulong, unsigned long, kstrtoul)
SETTER(ullong, unsigned long long, kstrtoull)

static int set_bool(const char *value, const struct kernel_param *p) { return kstrtobool(value ?: "1", p->arg); }
const struct kernel_param_ops param_ops_bool = {.set = set_bool};
static int set_charp(const char *value, const struct kernel_param *p) {
  *(char **)p->arg = kstrdup(value, GFP_KERNEL);
  return *(char **)p->arg ? 0 : -ENOMEM;
}
const struct kernel_param_ops param_ops_charp = {.set = set_charp};
int param_set_copystring(const char *value, const struct kernel_param *p) {
  return strscpy(p->str->string, value, p->str->maxlen) < 0 ? -ENOSPC : 0;
}
const struct kernel_param_ops param_ops_string = {.set = param_set_copystring};
// "1,0,1": one value an element.
static int set_array(const char *value, const struct kernel_param *p) {
  const struct kparam_array *array = p->arr;
  struct kernel_param element = *p;
  char *copy = kstrdup(value, GFP_KERNEL), *at = copy, *word;
  unsigned int count = 0;
  int error = copy ? 0 : -ENOMEM;
  while (!error && (word = strsep(&at, ","))) {
    if (count == array->max) error = -EINVAL;
    element.arg = (char *)array->elem + array->elemsize * count++;
    if (!error) error = array->ops->set(word, &element);
  }
  kfree(copy);
  if (!error && array->num) *array->num = count;
  return error;
}
const struct kernel_param_ops param_array_ops = {.set = set_array};

int param_set_uint(const char *value, const struct kernel_param *p) { return set_uint(value, p); }
int param_set_uint_minmax(const char *value, const struct kernel_param *p, unsigned int least, unsigned int most) {
  unsigned int number;
  int error = kstrtouint(value, 0, &number);
  if (error || number < least || number > most) return error ?: -EINVAL;
  *(unsigned int *)p->arg = number;
  return 0;
}
// a sysfs read, which never happens
int param_get_uint(char *out, const struct kernel_param *p) { return -EPERM; }
int param_get_string(char *out, const struct kernel_param *p) { return -EPERM; }

static void set_one(char *word) {
  char *value = strchr(word, '=');
  if (value) *value++ = 0;
  for (const struct kernel_param *p = __start___param; p < __stop___param; p++) {
    if (strcmp(p->name, word)) continue;
    int error = p->ops->set ? p->ops->set(value, p) : -EPERM;
    if (error) pr_warn("drivers.parameters: %s cannot be \"%s\": error %d\n", word, value ?: "", -error);
    return;
  }
  pr_warn("drivers.parameters: no driver has %s\n", word);
}
void shim_set_parameters(const char *text) {
  char *copy = kstrdup(text, GFP_KERNEL), *at = copy, *word;
  while (at && (word = strsep(&at, " "))) {
    if (*word) set_one(word);
  }
  kfree(copy);
}
