/* SPDX-License-Identifier: Apache-2.0 */
/* server_wire.h - connections of the HTTP server without I/O: a test is the client, the clock and
 * the callee. */
#ifndef KOLK_TESTS_SERVER_WIRE_H
#define KOLK_TESTS_SERVER_WIRE_H

#include "transport/drivers/http_server.h"

enum { SERVER_WIRE_TEXT = 1 << 20 };

struct server_wire {
	struct hs_loop loop;
	struct hs_conn conn;
	struct kolk_http_server_options options;
	struct kolk_http_server_handler handler;
	uint64_t now_ns, armed_ns;
	bool posted, ended;
	/* What the server did. */
	bool paused, closed, reset, sending;
	bool http2;          /* it may begin with the preface */
	bool hold_sends;     /* sends stay in flight until server_wire_sent */
	uint32_t sends;
	char *out;           /* what it sent, a NUL behind it */
	size_t out_size;
	/* What the callee saw: "request METHOD target|", "body ...|", "end|", "done ERR|". */
	char log[8192];
	uint32_t requests, ends; /* of exchanges, in all */
	uint32_t refused;    /* the last status of the library's own */
	/* What the callee does. */
	void (*on_request)(struct server_wire *wire);
	void (*on_body)(struct server_wire *wire, const void *data, size_t size);
	void (*on_body_end)(struct server_wire *wire);
	struct kolk_http_server_exchange *exchange; /* the last one that runs; NULL = none */
	/* For pulls. */
	const char *pulled;
	size_t pulled_size, pull_at_once;
	bool pull_ends;      /* otherwise pending at the end */
	enum kolk_err pull_err;
};

/* Zeroed, then options changed. */
void server_wire_open(struct server_wire *wire);
/* End it as a client that went, if it has not ended, and free everything. */
void server_wire_close(struct server_wire *wire);
/* Another connection of the same loop, as a new client. */
void server_wire_again(struct server_wire *wire);
/* Bytes come; what is posted runs. */
void server_wire_feed(struct server_wire *wire, const void *data, size_t size);
void server_wire_say(struct server_wire *wire, const char *text);
/* A send that is held has ended. */
void server_wire_sent(struct server_wire *wire, enum kolk_err err);
/* What was posted runs. */
void server_wire_turn(struct server_wire *wire);
void server_wire_wait(struct server_wire *wire, uint64_t ns);
/* The wire ends. */
void server_wire_end(struct server_wire *wire, enum kolk_err err);
/* Forget what was sent and seen. */
void server_wire_clear(struct server_wire *wire);
/* Answer 200 with a text. */
void server_wire_answer(struct server_wire *wire, const char *text);
/* Answer 200 with what is pulled, and a trailer. */
void server_wire_answer_pulled(struct server_wire *wire);
enum kolk_err server_wire_pull(void *user, void *buffer, size_t capacity, size_t *size);

#endif
