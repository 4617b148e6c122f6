/* SPDX-License-Identifier: Apache-2.0 */
/* rate.h - requests per second of a route and tenant: token buckets. */
#ifndef KOLK_GATEWAY_RATE_H
#define KOLK_GATEWAY_RATE_H

#include "tools/gateway/config/config.h"

struct gw_rates;

/* Buckets, all full, for all routes of all configurations of the process: those of a route that is in
 * the next one, too, go on. NULL = no memory, or no random numbers. */
struct gw_rates *gw_rates_make(void);
/* NULL is allowed. */
void gw_rates_free(struct gw_rates *rates);

/* What the buckets of a route go by: its match and its limit, wherever it stands in the file. A route
 * whose limit changes begins with full ones. */
uint64_t gw_rate_identity(const struct gw_route *route);

/* Take a token of the route's bucket for this tenant. Any thread; never waits long. Returns 0 =
 * taken, or the route has no limit; otherwise how long until there is one, ns. */
KOLK_MUST_CHECK uint64_t gw_rate_take(struct gw_rates *rates, const struct gw_route *route,
				      const char *tenant, uint64_t now_ns);

#endif
