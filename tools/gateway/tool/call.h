/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h - a call of a pooled tool: made of a message, run on a pool, answered once.
 *
 * All of it is on the loop of its session. A session that ends, and a client that cancels, cancel its
 * work; the call is freed when the work has ended.
 */
#ifndef KOLK_GATEWAY_TOOL_CALL_H
#define KOLK_GATEWAY_TOOL_CALL_H

#include <kolk/mcp_local.h>
#include <kolk/postgres.h>
#include <kolk/redis.h>

#include "core/base/atomic.h"
#include "tools/gateway/gateway.h"
#include "tools/gateway/tool/template.h"

struct gw_process;
struct gw_tool_statements;

/* Of a tool, since the gateway began. */
struct gw_tool_numbers {
	kolk__atomic_u64 calls, failed, in_flight;
};

/* The server of a route. */
struct gw_tool_set {
	struct gw_tools *tools;
	const struct gw_route *route;
	char *list;                  /* the result of tools/list */
	size_t list_size;
};

/* Those of the gateway. Constant while it runs. */
struct gw_tools {
	struct gateway *gateway;
	struct gw_view *view;        /* what tools are made of; it is used as long as they are */
	struct gw_tool_numbers *numbers; /* by gw_tool.index */
	struct gw_processes *processes;
	struct gw_tool_set *sets;
	uint32_t count;
};

struct gw_tool_session {
	struct gw_tool_set *set;
	struct kolk_mcp_local *local;
	struct gw_tool_call *calls;
};

struct gw_tool_call {
	struct gw_tool_call *next, **at; /* in session->calls */
	struct gw_tool_session *session; /* NULL = it has ended */
	struct gw_tools *tools;
	struct gw_loop *loop;
	const struct gw_tool *tool;
	const char *tenant;          /* of the session, until it has begun */
	uint64_t deadline_ns;
	char *id;
	size_t id_size;
	struct gw_arguments arguments;
	struct gw_text sent;         /* words, or a body */
	struct gw_text received;     /* as it came */
	struct gw_text data;         /* what it came to, JSON */
	struct kolk_key *key;        /* held; NULL = none */
	uint32_t status;             /* of HTTP */
	bool too_long;
	/* What is under way: one of these. */
	struct kolk_redis_call *redis;
	struct kolk_postgres_call *postgres;
	struct kolk_http_exchange *http;
	struct gw_process *process;
	struct gw_tool_statements *statements; /* of postgres */
};

/* A message tools/call. */
void gw_tool_call_begin(struct gw_tool_session *session, const struct kolk_mcp_envelope *message);
/* Its work ends soon. */
void gw_tool_call_cancel(struct gw_tool_call *call);
/* The session has ended. */
void gw_tool_call_leave(struct gw_tool_call *call);

/* ---- for those that do the work: the end, once; the call is freed */

/* `data` is what it came to. With a text it is a failure all the same. */
void gw_tool_call_end(struct gw_tool_call *call, const char *failure);
/* There is nothing but a text. */
void gw_tool_call_fail(struct gw_tool_call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* What err says, in the words of the tool. */
void gw_tool_call_fail_err(struct gw_tool_call *call, enum kolk_err err);

/* Call visit for each word whose arguments were given: of one with a list once for each item, which is
 * its argument meanwhile. False = visit stopped it. */
typedef bool gw_tool_word_fn(struct gw_tool_call *call, const struct gw_template *word, void *user);
bool gw_tool_call_each_word(struct gw_tool_call *call, const struct gw_words *words,
			    gw_tool_word_fn *visit, void *user);
/* The words of a command with arguments, each with a zero behind it, in `sent`; NULL is behind the last
 * one. False = there is no memory. */
struct gw_tool_words {
	const char *at[GW_TOOL_ARGUMENTS_MAX + 1];
	size_t sizes[GW_TOOL_ARGUMENTS_MAX];
	size_t count;
};
bool gw_tool_call_words(struct gw_tool_call *call, const struct gw_words *words,
			struct gw_tool_words *made);

/* ---- sql.c, redis.c, http.c, command.c: begin the work. Arguments are there. */

void gw_tool_sql_begin(struct gw_tool_call *call);
void gw_tool_sql_free(struct gw_tool_call *call);
void gw_tool_redis_begin(struct gw_tool_call *call);
void gw_tool_http_begin(struct gw_tool_call *call);
void gw_tool_command_begin(struct gw_tool_call *call);
void gw_tool_command_cancel(struct gw_tool_call *call);

#endif
