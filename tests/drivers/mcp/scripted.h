/* SPDX-License-Identifier: Apache-2.0 */
/* scripted.h - an HTTP/1.1 server whose answers a test writes byte for byte: a thread for it, and
 * one for each connection. */
#ifndef KOLK_TESTS_MCP_SCRIPTED_H
#define KOLK_TESTS_MCP_SCRIPTED_H

#include <pthread.h>

#include "core/base/atomic.h"

enum { SCRIPTED_CONNECTIONS = 16 };

struct scripted_request {
	char head[4096]; /* the request line and the fields */
	char body[4096]; /* "" = none */
	long id;         /* of the message; 0 = none */
};

struct scripted {
	/* Runs in the connection's thread: writes the answer, and returns whether the connection
	 * stays open. */
	int (*answer)(struct scripted *server, int fd, const struct scripted_request *request);
	void *user;
	kolk__atomic_u32 requests, calls; /* calls: of tools/call */
	char address[32];
	int listener, fds[SCRIPTED_CONNECTIONS];
	uint32_t count;
	pthread_t acceptor, threads[SCRIPTED_CONNECTIONS];
};

void scripted_open(struct scripted *server);
void scripted_close(struct scripted *server);
/* printf to the connection. */
void scripted_say(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A whole answer of this type. */
void scripted_whole(int fd, const char *type, const char *body);
/* What a well-behaved server says of initialize (with an id of a session) and of what it only has to
 * accept: true = it was that. */
int scripted_begins(int fd, const struct scripted_request *request);

#endif
