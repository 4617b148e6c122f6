/* SPDX-License-Identifier: Apache-2.0 */
/* warm.c - `warm_state_file`: what does not go together. */
#include <string.h>

#include "tools/gateway/config/file.h"

static void needs_file(struct gw_check *c, const char *key, bool given)
{
	if (given && c->file->config.warm.state_file == NULL)
		gw_wrong(c, kolk_config_place(c->file->place, key),
			 "write warm_state_file: /var/lib/kolk/warm",
			 "'warm_state_file' is missing: '%s' does nothing without it", key);
}

void gw_warm_check(struct gw_check *c)
{
	const struct gw_warm_options *o = &c->file->config.warm;

	needs_file(c, "warm_pairs_max", o->pairs_max != 0);
	needs_file(c, "warm_rate", o->rate != 0);
	needs_file(c, "warm_interval", o->interval_ns != 0);
	needs_file(c, "warm_half_life", o->half_life_ns != 0);
	if (o->state_file != NULL && o->state_file[strlen(o->state_file) - 1] == '/')
		gw_wrong(c, kolk_config_place(c->file->place, "warm_state_file"),
			 "write warm_state_file: /var/lib/kolk/warm",
			 "'warm_state_file' is a directory");
}
