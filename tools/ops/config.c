/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - a configuration from its text to what an engine can be made of. */
#include <kolk/ops/config.h>

void kolk_config_free(struct kolk_config *config)
{
	(void)config;
}
