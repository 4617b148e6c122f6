/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inside.h - the parts of the MCP fixture. All of it runs on the one loop.
 *
 *   exchange   a request of HTTP and its answer (http.c, post.c, modern.c)
 *   stream     where messages go: one JSON answer, SSE, or lines of stdio (stream.c, resume.c)
 *   session    of an era that has them (session.c); stdio has one
 *   call       one JSON-RPC request that is being served (call.c, input.c, tools.h)
 *
 * A stream lives while an exchange shows it or a call may still answer on it.
 */
#ifndef KOLK_MCP_INSIDE_H
#define KOLK_MCP_INSIDE_H

#include <jansson.h>
#include <kolk/http_server.h>
#include <kolk/kolk.h>

#include "core/base/atomic.h"
#include "tests/mcp/fixture.h"

enum mcp_version {
	MCP_2024_11_05, MCP_2025_03_26, MCP_2025_06_18, MCP_2025_11_25, MCP_2026_07_28, MCP_VERSIONS
};
extern const char *const mcp_versions[MCP_VERSIONS];

enum {
	MCP_PARSE = -32700, MCP_INVALID = -32600, MCP_NO_METHOD = -32601, MCP_PARAMS = -32602,
	MCP_REFUSED = -32000, MCP_NO_RESOURCE = -32002,
	MCP_HEADER_MISMATCH = -32020, MCP_NO_CAPABILITY = -32021, MCP_NO_VERSION = -32022
};
enum { MCP_BUCKETS = 4096, MCP_LOG = 256, MCP_CANCELS = 256 };
#define MCP_META(name) "io.modelcontextprotocol/" name

struct mcp_exchange {
	struct mcp_fixture *fixture;
	struct kolk_http_server_exchange *http;
	const struct kolk_http_request_head *head;
	char *body, *answer;
	size_t size, capacity;
	struct mcp_stream *stream; /* NULL = none, or it left */
	struct kolk_timer timer;   /* comments */
	bool answered, waits;      /* waits: pull said so */
	char principal[32];        /* whose token it has; "" = none is looked at */
};

struct mcp_stream {
	struct mcp_fixture *fixture;
	struct mcp_session *session;   /* NULL = none any more; 2026-07-28 */
	struct mcp_exchange *exchange; /* NULL = nothing shows it */
	struct mcp_stream *next;       /* of the session */
	struct mcp_call *call;         /* 2026-07-28: the only one */
	enum { MCP_UNDECIDED, MCP_SSE, MCP_LINES } kind;
	uint32_t number;               /* of the session; event ids are "number-event" */
	uint32_t events;
	uint32_t pending;              /* calls that may answer */
	uint32_t status;               /* of one JSON answer */
	bool standing;                 /* it does not end with the last answer */
	bool get;                      /* of a GET */
	bool batch, ends, cut, named;  /* named: "event: message" */
	json_t *answers;               /* of a batch */
	char *out;
	size_t at, size, capacity;
};

struct mcp_event {
	uint32_t stream, number;
	char *text;
};

struct mcp_ask {
	struct mcp_ask *next;
	struct mcp_call *call;
	uint64_t id;
	char key[];
};

struct mcp_session {
	struct mcp_fixture *fixture;
	struct mcp_session *next;      /* of its bucket */
	char id[33];
	enum mcp_version version;
	bool initialized, stdio;
	uint32_t level;                /* of log messages */
	json_t *client, *capabilities, *subscribed;
	struct mcp_call *calls;
	struct mcp_ask *asks;
	struct mcp_stream *streams;
	struct mcp_stream *get;        /* the standing one, shown or not; NULL = there was none */
	struct mcp_event *log;         /* MCP_LOG of them, from the first event on */
	uint64_t logged, next_ask, requests, last_used_ns, counter;
	uint32_t next_stream;
	char owner[64];
	char principal[32];            /* who made it */
};

struct mcp_method; /* tools.h */

struct mcp_call {
	struct mcp_fixture *fixture;
	struct mcp_session *session;   /* NULL = 2026-07-28 */
	struct mcp_stream *stream;
	struct mcp_call *next;         /* of the session, or of the fixture */
	const struct mcp_method *method;
	void (*run)(struct mcp_call *call);
	json_t *message;               /* owns the four below it */
	json_t *id, *params, *meta, *token;
	json_t *inputs;                /* what the client answered, by key */
	json_t *asked;                 /* what is to be asked now, by key */
	json_t *state;                 /* of a call in several rounds */
	json_t *headers;               /* for whoami */
	struct kolk_timer timer;
	uint64_t began_ns;
	int64_t counts;                /* in calls_now: 0 = initialize, server/discover */
	uint32_t step, waiting, rounds;
	bool cancelled, listens, stepping; /* stepping: mcp_later's timer runs */
};

struct mcp_cancel {
	char nonce[48];
	const char *how;
	uint64_t seen_ns, after_ns;
};

struct mcp_fixture {
	struct mcp_options options;
	uint32_t versions;             /* bits */
	struct kolk_engine *engine;
	struct kolk_loop *loop;
	struct kolk_http_server *server;
	char address[128];
	struct mcp_session *buckets[MCP_BUCKETS];
	struct mcp_session *anonymous; /* of stateless */
	struct mcp_session *stdio;
	struct mcp_stream *lines;      /* of stdio */
	struct mcp_call *calls;        /* of 2026-07-28 */
	json_t *tools, *prompts, *resources, *templates;
	uint8_t secret[32];
	struct mcp_cancel cancels[MCP_CANCELS];
	uint64_t cancelled;
	struct mcp_options seen;       /* how often each switch was looked at */
	kolk__atomic_bool held;        /* W: any thread. R: the loop */
	kolk__atomic_u64 numbers[MCP_NUMBER_COUNT];
};

static inline void mcp_count(struct mcp_fixture *fixture, enum mcp_number number, int64_t by)
{
	kolk__own_add(&fixture->numbers[number], (uint64_t)by);
}
/* Whether this is the time of a switch "every N". */
#define mcp_due(fixture, name) \
	((fixture)->options.name != 0 && ++(fixture)->seen.name % (fixture)->options.name == 0)
#define mcp_lies(fixture, name) \
	(mcp_due(fixture, name) && (mcp_count(fixture, MCP_N_lies, 1), true))
#define mcp_fails(fixture, name) \
	(mcp_due(fixture, name) && (mcp_count(fixture, MCP_N_faults, 1), true))

/* numbers.c; http.c: exchanges */
void mcp_numbers(struct mcp_exchange *exchange);
extern const struct kolk_http_server_handler mcp_http_handler;
const char *mcp_field(const struct mcp_exchange *exchange, const char *name);
struct mcp_reply {
	uint32_t status;
	const char *type, *session, *allow, *challenge;
	char *text; /* freed; NULL = no body */
};
void mcp_reply(struct mcp_exchange *exchange, const struct mcp_reply *reply);
void mcp_refuse(struct mcp_exchange *exchange, uint32_t status, int code, const char *why);
void mcp_accepted(struct mcp_exchange *exchange);
/* The answer is what the stream says, as it comes. */
void mcp_show(struct mcp_exchange *exchange, struct mcp_stream *stream, const char *type);

/* auth.c: who asks, by its token; false: it was refused */
bool mcp_is_authorized(struct mcp_exchange *exchange);

/* post.c: POST, GET and DELETE of sessions */
void mcp_post(struct mcp_exchange *exchange);
void mcp_post_message(struct mcp_exchange *exchange);
void mcp_get(struct mcp_exchange *exchange);
void mcp_get_sse(struct mcp_exchange *exchange);
void mcp_delete(struct mcp_exchange *exchange);
void mcp_line(struct mcp_fixture *fixture, const char *line, size_t size);

/* modern.c: 2026-07-28 */
/* exchange NULL = stdio. */
bool mcp_is_modern(const struct mcp_exchange *exchange, const json_t *message);
void mcp_post_modern(struct mcp_exchange *exchange, json_t *message);
/* What is wrong with its envelope, as an error object, and the status; NULL = nothing. */
json_t *mcp_modern_error(struct mcp_fixture *fixture, const json_t *message,
			 const struct mcp_exchange *exchange, uint32_t *status);

/* stream.c: messages to the client */
struct mcp_stream *mcp_stream_new(struct mcp_fixture *fixture, struct mcp_session *session);
/* Send a message, which it frees; an answer may be the last one. */
void mcp_send(struct mcp_stream *stream, json_t *message);
void mcp_answer(struct mcp_stream *stream, json_t *message);
/* One of its calls will not answer. */
void mcp_unanswered(struct mcp_stream *stream);
void mcp_stream_sse(struct mcp_stream *stream);
void mcp_stream_put(struct mcp_stream *stream, const char *text, size_t size);
void mcp_stream_event(struct mcp_stream *stream, const char *id, const char *text);
void mcp_stream_end(struct mcp_stream *stream);
/* End what the client sees of it: the stream lives on, and can be resumed. */
void mcp_stream_close(struct mcp_stream *stream);
void mcp_stream_attach(struct mcp_stream *stream, struct mcp_exchange *exchange);
void mcp_stream_detach(struct mcp_stream *stream);
/* Its exchange ended. */
void mcp_stream_left(struct mcp_stream *stream);
void mcp_stream_free_if_over(struct mcp_stream *stream);
enum kolk_err mcp_stream_pull(void *user, void *buffer, size_t capacity, size_t *size);

/* resume.c: events that can be asked for again */
void mcp_log(struct mcp_stream *stream, const char *text, char id[32]);
void mcp_resume(struct mcp_exchange *exchange, struct mcp_session *session, const char *last);

/* session.c */
struct mcp_session *mcp_session_new(struct mcp_fixture *fixture);
struct mcp_session *mcp_session_find(struct mcp_fixture *fixture, const char *id);
void mcp_session_end(struct mcp_session *session, enum mcp_number why);
void mcp_sessions_forget(struct mcp_fixture *fixture);
void mcp_notify(struct mcp_session *session, json_t *message);
void mcp_notify_all(struct mcp_fixture *fixture, const char *change);
void mcp_notify_updated(struct mcp_fixture *fixture, const char *uri);
void mcp_streams_end(struct mcp_fixture *fixture);

/* call.c */
json_t *mcp_message(const char *method, json_t *params);
json_t *mcp_error_object(int code, const char *text, json_t *data);
json_t *mcp_error_message(const json_t *id, json_t *error);
struct mcp_call *mcp_call_new(struct mcp_stream *stream, json_t *message);
void mcp_call_start(struct mcp_call *call, const struct mcp_method *method);
void mcp_result(struct mcp_call *call, json_t *result);
void mcp_fail(struct mcp_call *call, int code, const char *text);
void mcp_fail_status(struct mcp_call *call, uint32_t status, json_t *error);
void mcp_later(struct mcp_call *call, uint64_t ms);
void mcp_call_drop(struct mcp_call *call);
void mcp_call_cancel(struct mcp_call *call, const char *how);
void mcp_cancelled(struct mcp_session *session, struct mcp_fixture *fixture, const json_t *params);
void mcp_progress(struct mcp_call *call, uint64_t progress, uint64_t total);
void mcp_log_message(struct mcp_call *call, const char *level, const char *text);
int mcp_level(const char *name);

/* input.c: what a call needs of the client */
const json_t *mcp_input(struct mcp_call *call, const char *key, const char *method, json_t *params);
const json_t *mcp_elicited(struct mcp_call *call, const char *key, const char *question);
const json_t *mcp_capabilities(const struct mcp_call *call);
bool mcp_need(struct mcp_call *call);
bool mcp_inputs_read(struct mcp_call *call);
void mcp_replied(struct mcp_session *session, const json_t *message);
void mcp_asks_drop(struct mcp_session *session, const struct mcp_call *call);

/* state.c: requestState, sealed */
char *mcp_seal(struct mcp_fixture *fixture, const json_t *state);
json_t *mcp_unseal(struct mcp_fixture *fixture, const char *text);
char *mcp_decoded(const char *value);

#endif
