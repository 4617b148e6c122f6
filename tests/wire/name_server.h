/* SPDX-License-Identifier: Apache-2.0 */
/* name_server.h - a name server of our own that answers, changes its mind, is late, or is silent. */
#ifndef KOLK_TESTS_WIRE_NAME_SERVER_H
#define KOLK_TESTS_WIRE_NAME_SERVER_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/atomic.h"

enum { ANSWERS_MAX = 16, TYPE_A = 1, TYPE_AAAA = 28 };

struct name_server {
	int fd;
	char where[32];
	pthread_t thread;
	pthread_mutex_t lock;    /* of all that follows but questions: what it answers */
	uint32_t address[ANSWERS_MAX], count, ttl_s; /* no address = there is no such name */
	struct in6_addr address6[ANSWERS_MAX];
	uint32_t count6;
	bool silent;
	uint32_t drops, refuses; /* questions of this type: 0 = none */
	uint32_t delays;         /* answers of this type by so much: 0 = none */
	int delay_ms;
	uint32_t shift;          /* each answer begins so much later in the list */
	uint32_t part;           /* of it in each answer; 0 = all */
	uint64_t given;
	kolk__atomic_u64 questions; /* for A */
};

bool name_server_open(struct name_server *server);
void name_server_close(struct name_server *server);
/* Up to two addresses. */
void name_server_answers(struct name_server *server, uint32_t count, const char *first,
			 const char *second, uint32_t ttl_s);

#endif
