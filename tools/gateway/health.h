/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h - requests of the gateway's own that find out whether members of balancers are well.
 *
 * They run on loop 0, over connections of the member's pool, under the tenant "(health)": those of
 * requests may all be in use. One at a time for each member: the next is due when the last has
 * ended.
 */
#ifndef KOLK_GATEWAY_HEALTH_H
#define KOLK_GATEWAY_HEALTH_H

#include "tools/gateway/gateway.h"

/* Begin the checks of a view, or end them; on each loop, of which all but loop 0 do nothing. A view is
 * used until its last check has ended. */
void gw_health_begin(struct gw_loop *loop, struct gw_view *view);
void gw_health_end(struct gw_loop *loop, struct gw_view *view);
/* Those of another view instead. Of the same configuration they go on: members that DNS names may change
 * more often than a check takes. */
void gw_health_move(struct gw_loop *loop, struct gw_view *before, struct gw_view *after);

#endif
