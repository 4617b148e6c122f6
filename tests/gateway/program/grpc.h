/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.h - a server and clients that speak as gRPC over HTTP/2 does: messages with a prefix of five
 * bytes, the status in the trailers, or in a head that is all of the answer. */
#ifndef KOLK_TESTS_GATEWAY_GRPC_H
#define KOLK_TESTS_GATEWAY_GRPC_H

#include <kolk/http.h>
#include <kolk/kolk.h>
#include <pthread.h>

#include "tests/kit/mock.h"

/* ---- the server. The path says what a method does:
 *   /echo/Unary    all messages come back when the last one is here
 *   /echo/Stream   the first message comes back five times
 *   /echo/Bidi     each comes back at once
 *   /echo/None     a head alone, with status 5, when the request is here
 *   /echo/Early    likewise, with status 8, when its head is here; the rest is not read
 *   /echo/Late     a message, then status 13
 *   /echo/Hang     nothing
 *   /echo/Reset    RST_STREAM with INTERNAL_ERROR */

/* Of the last request: fields, and the code that ended its stream (UINT32_MAX = none did yet). */
struct grpc_seen {
	char te[32], content_type[64], timeout[32], metadata[32];
	uint32_t code;
};

struct grpc_server {
	struct kit_mock *mock;
	pthread_mutex_t lock;
	struct grpc_seen seen; /* under it */
	kolk__atomic_u32 requests, closed;
};

bool grpc_server_open(struct grpc_server *server);
void grpc_server_close(struct grpc_server *server);
struct grpc_seen grpc_server_seen(struct grpc_server *server);

/* ---- a client */

struct grpc_client {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_http *http;
};

/* tls: options of its connections, NULL = none. */
bool grpc_client_open(struct grpc_client *client, const char *address,
		      const struct kolk_tls_options *tls);
void grpc_client_close(struct grpc_client *client);

struct grpc_call {
	/* What is asked. */
	const char *method;     /* of /echo/ */
	const char *timeout;    /* grpc-timeout; NULL = none */
	uint32_t messages;      /* that it sends */
	uint32_t size;          /* of each, without its prefix */
	bool in_turn;           /* a message is sent when the one before it has come back */
	bool stays_open;        /* the request does not end */
	uint32_t cancel_after;  /* messages that came; then it is cancelled; 0 = it is not */

	/* What came. */
	enum kolk_err err;
	uint32_t status, received; /* HTTP's; messages, each as it was sent */
	bool head_alone;        /* the head was all of the answer */
	bool has_length;        /* it said how long it was */
	bool broken;            /* a message was not as it was sent */
	char content_type[64], grpc_status[8], grpc_message[64], binary[64];

	/* Its own. */
	struct kolk_http_exchange *exchange;
	uint64_t sent, came;    /* bytes */
	kolk__atomic_u32 ended;
};

/* Begin one; cancel it; wait for its end, or 30 s. Its memory is used until then. */
bool grpc_begin(struct grpc_client *client, struct grpc_call *call);
bool grpc_cancel(struct grpc_client *client, struct grpc_call *call);
bool grpc_wait(struct grpc_call *call);

#endif
