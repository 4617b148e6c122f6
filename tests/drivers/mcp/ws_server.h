/* SPDX-License-Identifier: Apache-2.0 */
/* ws_server.h - a WebSocket server in front of kolk-mcp-fixture --stdio: a child for each
 * connection, a line of it in each message; and what a server may do wrong. */
#ifndef KOLK_TESTS_MCP_WS_SERVER_H
#define KOLK_TESTS_MCP_WS_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/atomic.h"

struct ws_server {
	/* Set before it is opened. */
	const char *answer;       /* instead of 101; NULL = 101 */
	const char *fields;       /* instead of accept and protocol; NULL = the right ones */
	const char *token;        /* without it in a request's head: 401; NULL = none is wanted */
	bool fragments;           /* messages in fragments, with a ping between two */
	bool pings;               /* a ping after each message */
	bool asks;                /* an MCP ping after each message */
	bool asks_first;          /* one in the same segment as 101, and before each message */
	const void *fault;        /* sent instead of a message with "trigger" in it; empty: the
				   * connection is cut */
	size_t fault_size;
	bool hasty;               /* at the beginning of a long message it closes (1009), and drops
				   * what still comes, slowly */
	uint32_t backend;         /* of its upstream's engine */

	int fd;
	char address[32];
	pthread_t thread;
	kolk__atomic_u32 opened, open; /* connections */
	kolk__atomic_u32 pings_sent, pongs;
	kolk__atomic_u32 pinged;       /* by the client */
	kolk__atomic_u32 answered;     /* of what it asked */
	kolk__atomic_u32 unmasked;     /* frames of the client that break the rules */
	kolk__atomic_u32 closes, code; /* close frames of the client; the last one's code */
};

void ws_server_open(struct ws_server *server);
/* All its connections have ended. */
void ws_server_close(struct ws_server *server);

struct place;
struct kolk_mcp_options;
/* An upstream behind the server, which is opened; false: this build has no WebSocket. */
bool ws_place_open(struct place *place, struct ws_server *server,
		   struct kolk_mcp_options *options);
void ws_place_close(struct place *place, struct ws_server *server);

#endif
