/* SPDX-License-Identifier: Apache-2.0 */
/*
 * age.h - streams that only listen (GET, subscriptions/listen) end at an age of mcp.stream_age_max,
 * each up to a tenth of it earlier: what began together does not come back together.
 */
#ifndef KOLK_GATEWAY_MCP_AGE_H
#define KOLK_GATEWAY_MCP_AGE_H

#include "tools/gateway/mcp/mcp.h"

/* mcp.stream_age_max, if the file says nothing. */
#define GW_MCP_STREAM_AGE_NS (24 * 3600 * KOLK_S_NS)

/* On its home: a call begins; one that listens to the client of this route is bounded from now on. */
void gw_mcp_age_begin(struct gw_mcp_call *call);
void gw_mcp_age_end(struct gw_mcp_call *call);

/* An age above 9/10 of max_ns and up to it. random: a seed, which is another one then (splitmix64:
 * Steele, Lea, Flood, 2014). */
static inline uint64_t gw_mcp_age_ns(uint64_t max_ns, uint64_t *random)
{
	uint64_t z = *random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return max_ns < 10 ? max_ns : max_ns - z % (max_ns / 10);
}

#endif
