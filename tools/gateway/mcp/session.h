/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - sessions of clients; mcp.h has it. On their home. */
#ifndef KOLK_GATEWAY_MCP_SESSION_H
#define KOLK_GATEWAY_MCP_SESSION_H

#include "tools/gateway/mcp/mcp.h"

/* A session of a client. Only its home uses it. */
struct gw_mcp_session {
	struct gw_mcp_session *next, **at; /* in loop->mcp->all */
	struct gw_loop *loop;
	struct gw_mcp_pool *pool;
	struct kolk_mcp_client *client; /* NULL = it is being closed */
	struct gw_mcp_call *calls;   /* in progress */
	uint64_t generation;         /* of its slot; 0 = no id leads to it */
	uint32_t slot, arrays;       /* arrays: 1 = its client may send some (2025-03-26) */
	uint64_t used_ns;
	struct kolk_timer idle;
	const struct gw_mcp_holder *holder; /* whose token its server is shown; NULL = nobody's */
	bool retired;                /* the token is another holder's by now: it ends with its last call */
	bool in_federation;          /* one of several of its client: requests of servers get other ids */
	bool ahead;                  /* its client was made before it came (warm/ahead.c) */
	struct gw_mcp_adapted *adapted; /* its server has no sessions; NULL = it has */
	struct gw_mcp_federated *federated; /* it is one with several servers, without `client`; NULL = not */
	struct gw_warm_pair *warm;   /* what it counts for; NULL = it is not counted */
};

/* The name by which the library tells sessions apart. */
enum { GW_MCP_SESSION_NAME = 24 };
const char *gw_mcp_session_name(const struct gw_loop *loop, char name[GW_MCP_SESSION_NAME]);
/* The version that its server is asked for; NULL = the library's. */
const char *gw_mcp_version_asked(const struct kolk_mcp_envelope *message);
struct gw_mcp_session *gw_mcp_session_make(struct gw_mcp_call *call, enum kolk_err *err);
/* The session that was made ahead for this initialize had ended: begin again, once. False = it had
 * not. */
bool gw_mcp_call_renew(struct gw_mcp_call *call, const struct kolk_mcp_result *result);
/* Give the session an id. False = there are too many sessions. */
bool gw_mcp_session_enter(struct gw_mcp_session *session);
/* The session that the call names; NULL = there is none. */
struct gw_mcp_session *gw_mcp_session_find(struct gw_mcp_call *call);
void gw_mcp_session_add(struct gw_mcp_session *session, struct gw_mcp_call *call);
void gw_mcp_session_remove(struct gw_mcp_call *call);
/* A session with several servers, which is a client of none itself. NULL = no memory. */
struct gw_mcp_session *gw_mcp_session_make_federated(struct gw_mcp_call *call);
/* The client answers what its server asked, or cancels a call: false = not in this session. */
bool gw_mcp_session_reply(struct gw_mcp_session *session, const struct kolk_mcp_envelope *answer);
bool gw_mcp_session_cancel(struct gw_mcp_session *session, struct kolk_mcp_part id);
/* The session begins no more calls, and ends with its last one. */
void gw_mcp_session_retire(struct gw_mcp_session *session);
/* The session loses its id, and ends with its last call. */
void gw_mcp_session_close(struct gw_mcp_session *session);
/* How many sessions of a loop have calls in progress; on the loop. mcp NULL = none. */
uint32_t gw_mcp_sessions_busy(const struct gw_mcp_loop *mcp);

#endif
