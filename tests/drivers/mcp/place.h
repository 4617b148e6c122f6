/* SPDX-License-Identifier: Apache-2.0 */
/* place.h - an MCP server, an engine with a pool of connections to it, and an upstream on that. */
#ifndef KOLK_TESTS_MCP_PLACE_H
#define KOLK_TESTS_MCP_PLACE_H

#include <kolk/kolk.h>
#include <kolk/mcp.h>

#include "core/base/atomic.h"
#include "tests/mcp/fixture.h"

/* Of each of the 32 clients of a run of soak_test.c. */
extern uint32_t soak_calls;

struct place {
	struct mcp_fixture *server;
	struct kolk_engine *engine;
	struct kolk_pool *connections;
	struct kolk_mcp *mcp;
	struct kolk_loop *loop;     /* the first one's; the engine has two */
	bool stateless;             /* the server has one session for all */
	bool http_sse;              /* its sessions end with their connections, a little later */
};

/* Set before place_open; all zero = defaults. */
struct place_options {
	struct mcp_options server;
	struct kolk_mcp_options mcp; /* its size is set by place_open */
	uint32_t connections_max;    /* 0 = 100 */
	uint64_t mend_timeout_ns;    /* of connections; 0 = the pool's default */
	bool era_auto;               /* else mcp.era, 0 = legacy */
};

void place_open(struct place *place, struct place_options *options);
/* Everything; the server has no session left unless `lost` are expected to be. */
void place_close(struct place *place);
/* What is left when the upstream is closed. */
void place_end(struct place *place);
/* A legacy upstream at the address of a server of the test's own; the place has none. */
void place_open_at(struct place *place, const char *address);
/* An upstream of children instead; the place has no server. */
void place_open_command(struct place *place, struct kolk_mcp_options *options,
			const char *const *command);
/* kolk-mcp-fixture --stdio argument. */
void place_open_children(struct place *place, struct kolk_mcp_options *options,
			 const char *argument);
void place_close_children(struct place *place);
uint64_t place_number(const struct place *place, enum mcp_number number);
/* Wait until it is so much. */
void place_wait_for(const struct place *place, enum mcp_number number, uint64_t value);

struct kolk_mcp_client *place_client(struct place *place, const char *tenant, const char *session);
void place_client_close(struct place *place, struct kolk_mcp_client *client);
/* Make a call and wait. */
struct kolk_mcp_result place_call(struct kolk_mcp_client *client, const char *method,
				  const char *params);
/* Of a tool: asserts that it answers, and returns its text (static). */
const char *place_tool(struct kolk_mcp_client *client, const char *name, const char *arguments);
struct kolk_stats place_sessions(const struct place *place);
struct kolk_mcp_stats place_stats(const struct place *place);

/* Run on a loop's thread, and wait. */
void place_on_loop(struct kolk_loop *loop, void (*run)(void *user), void *user);

/* What a call on the loop told. */
struct tracked {
	struct kolk_mcp_client *client;
	struct kolk_mcp_call *call;
	const char *method, *params;
	const char *message;        /* instead of both: it is read, and sent */
	uint64_t deadline_ns;
	bool listen;
	enum kolk_err started;
	kolk__atomic_u32 heads, notifications, requests, ends;
	char notification[512], request[512], method_seen[64], id[64], text[512];
	struct kolk_mcp_result result;
	const char *reply;          /* NULL = none is given */
};
/* On the loop (place_on_loop); tracked: a struct tracked. */
void tracked_start(void *tracked);
void tracked_cancel(void *tracked);
void tracked_pause(void *tracked);
void tracked_resume(void *tracked);
void tracked_wait(struct tracked *tracked);

/* Calls of one session, whatever carries it: so many at once, each with its own progress and answer; one
 * that wants no messages and is cancelled, and others behind it: `receiving`, it receives while
 * it is paused, so the first one's answer comes, but no more. */
void place_calls_at_once(struct place *place, struct kolk_mcp_client *client, int count);
void place_cancelled_pause(struct place *place, struct kolk_mcp_client *client, bool receiving);

#endif
