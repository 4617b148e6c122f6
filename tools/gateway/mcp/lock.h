/* SPDX-License-Identifier: Apache-2.0 */
/* lock.h - what front and home of a call both use: where one thread is both, without its lock. */
#ifndef KOLK_GATEWAY_MCP_LOCK_H
#define KOLK_GATEWAY_MCP_LOCK_H

#include <pthread.h>

#include "tools/gateway/mcp/mcp.h"

/* By front or home, once home is known: nobody else has the call. */
static inline void gw_mcp_call_lock(struct gw_mcp_call *call)
{
	if (call->front != call->home)
		pthread_mutex_lock(&call->lock);
}

static inline void gw_mcp_call_unlock(struct gw_mcp_call *call)
{
	if (call->front != call->home)
		pthread_mutex_unlock(&call->lock);
}

#endif
