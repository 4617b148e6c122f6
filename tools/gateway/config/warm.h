/* SPDX-License-Identifier: Apache-2.0 */
/* warm.h - `warm_state_file` and what goes with it: warm/warm.h. */
#ifndef KOLK_GATEWAY_CONFIG_WARM_H
#define KOLK_GATEWAY_CONFIG_WARM_H

#include <stdint.h>

struct gw_warm_options {
	const char *state_file; /* NULL = nothing is made ahead */
	uint32_t pairs_max;     /* of tenants and upstreams; 0 = 1000 */
	uint32_t rate;          /* made ahead in a second; 0 = 20 */
	uint64_t interval_ns;   /* the file is written; 0 = 5 min */
	uint64_t half_life_ns;  /* a use counts half after it; 0 = 1 d */
};

#endif
