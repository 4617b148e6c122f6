/* SPDX-License-Identifier: Apache-2.0 */
/* id.h - the ids of sessions, and of suspended calls: where they are, sealed. */
#ifndef KOLK_GATEWAY_MCP_ID_H
#define KOLK_GATEWAY_MCP_ID_H

#include <mbedtls/gcm.h>
#include <stdbool.h>
#include <stdint.h>

/* An id, with the NUL: iv, loop, slot, generation, tag in hexadecimal. */
enum { GW_MCP_ID_SIZE = 2 * (12 + 16 + 16) + 1 };

enum gw_mcp_use { GW_MCP_USE_SESSION = 0, GW_MCP_USE_STATE };

/* What an id is bound to: whoever shows it must be that tenant and principal, on that route, and for
 * that use. */
struct gw_mcp_place {
	enum gw_mcp_use use;
	uint32_t loop, slot;
	uint64_t generation;
	uint64_t route;
	const char *tenant;
	const uint8_t *principal; /* 32 bytes */
};

struct gw_mcp_opened;

/* What a thread has for them: the key, which is set by its owner, and ids of sessions that it has
 * opened. */
struct gw_mcp_ids {
	mbedtls_gcm_context gcm;
	struct gw_mcp_opened *opened; /* NULL = there is none */
	uint32_t next;                /* which place of its set the next one takes */
	uint32_t doubled;             /* how often the number of places was */
};

bool gw_mcp_id_seal(struct gw_mcp_ids *ids, const struct gw_mcp_place *place,
		    char id[GW_MCP_ID_SIZE]);
/* use, route, tenant and principal are given; false: it is no id of theirs. */
bool gw_mcp_id_open(struct gw_mcp_ids *ids, const char *id, struct gw_mcp_place *place);
/* There may be so many sessions: as many ids are remembered, up to a bound. What was opened before is
 * opened once more if that changes how many are. */
void gw_mcp_ids_fit(struct gw_mcp_ids *ids, uint32_t sessions);
void gw_mcp_ids_free(struct gw_mcp_ids *ids);

#endif
