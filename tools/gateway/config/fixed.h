/* SPDX-License-Identifier: Apache-2.0 */
/* fixed.h - the options that a program keeps until it ends. */
#ifndef KOLK_GATEWAY_CONFIG_FIXED_H
#define KOLK_GATEWAY_CONFIG_FIXED_H

#include "tools/gateway/config/config.h"

/* All of them as a text to compare. Freed with free;
 * NULL = no memory. */
char *gw_config_fixed(const struct gw_config *config);
/* Name those that differ, "" = none: "proxy_protocol of listen 1, streams_max of server". Both have as
 * many listeners. */
void gw_config_fixed_changes(const char *before, const char *after, char *text, size_t capacity);

#endif
