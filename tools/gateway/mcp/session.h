/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - sessions of clients; mcp.h has it. On their home. */
#ifndef KOLK_GATEWAY_MCP_SESSION_H
#define KOLK_GATEWAY_MCP_SESSION_H

#include "tools/gateway/mcp/mcp.h"

/* A session of a client. Its home's. */
struct gw_mcp_session {
	struct gw_mcp_session *next, **at; /* in loop->mcp->all */
	struct gw_loop *loop;
	struct gw_mcp_pool *pool;
	struct kolk_mcp_client *client; /* NULL = it is being closed */
	struct gw_mcp_call *calls;   /* under way */
	uint64_t generation;         /* of its slot; 0 = no id leads to it */
	uint32_t slot, arrays;       /* arrays: 1 = its client may send some (2025-03-26) */
	uint64_t used_ns;
	struct kolk_timer idle;
	const struct gw_mcp_holder *holder; /* whose token its server is shown; NULL = nobody's */
	bool retired;                /* another's is now: it ends with its last call */
	bool in_federation;          /* its client has others beside it: what servers ask gets other ids */
	bool ahead;                  /* its client was made before it came (warm/ahead.c) */
	struct gw_mcp_adapted *adapted; /* its server has no sessions; NULL = it has */
	struct gw_mcp_federated *federated; /* it is one with several servers, without `client`; NULL = not */
	struct gw_warm_pair *warm;   /* what it counts for; NULL = it is not counted */
};

/* Names them apart for the library, where each is alone. */
enum { GW_MCP_SESSION_NAME = 24 };
const char *gw_mcp_session_name(const struct gw_loop *loop, char name[GW_MCP_SESSION_NAME]);
/* The version that its server is asked for; NULL = the library's. */
const char *gw_mcp_version_asked(const struct kolk_mcp_envelope *message);
struct gw_mcp_session *gw_mcp_session_make(struct gw_mcp_call *call, enum kolk_err *err);
/* initialize found the session that was made ahead for it ended: begin again, once. Else false. */
bool gw_mcp_call_renew(struct gw_mcp_call *call, const struct kolk_mcp_result *result);
/* It gets an id. False = there are too many. */
bool gw_mcp_session_enter(struct gw_mcp_session *session);
/* NULL = there is none. */
struct gw_mcp_session *gw_mcp_session_find(struct gw_mcp_call *call);
void gw_mcp_session_add(struct gw_mcp_session *session, struct gw_mcp_call *call);
void gw_mcp_session_remove(struct gw_mcp_call *call);
/* One with several servers: it has a client of none. NULL = no memory. */
struct gw_mcp_session *gw_mcp_session_make_federated(struct gw_mcp_call *call);
/* The client answers what its server asked, or cancels a call: false = not in this session. */
bool gw_mcp_session_reply(struct gw_mcp_session *session, const struct kolk_mcp_envelope *answer);
bool gw_mcp_session_cancel(struct gw_mcp_session *session, struct kolk_mcp_part id);
/* It begins nothing any more, and ends with its last call. */
void gw_mcp_session_retire(struct gw_mcp_session *session);
/* No id leads to it; it ends with its last call. */
void gw_mcp_session_close(struct gw_mcp_session *session);
/* How many of a loop have calls under way; on the loop. mcp NULL = none. */
uint32_t gw_mcp_sessions_busy(const struct gw_mcp_loop *mcp);

#endif
