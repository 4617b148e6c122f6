/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - clients that ask without a pause, of a gateway before servers that answer "webN", N a digit. */
#ifndef KOLK_TESTS_GATEWAY_PROGRAM_LOAD_H
#define KOLK_TESTS_GATEWAY_PROGRAM_LOAD_H

#include <pthread.h>

#include "tests/gateway/program/program.h"

enum { LOAD_CLIENTS_MAX = 8, LOAD_SERVERS = 10 };

struct load;

struct load_client {
	struct load *load;
	pthread_t thread;
	uint64_t lost;
};

struct load {
	const struct program *program;
	uint32_t count;
	kolk__atomic_u32 stop;
	kolk__atomic_u64 answers[LOAD_SERVERS];
	struct load_client clients[LOAD_CLIENTS_MAX];
};

/* Each client keeps its connection, and ends when a request of it is lost. */
void load_begin(struct load *load, const struct program *program, uint32_t clients);
/* How many were lost. */
uint64_t load_end(struct load *load);
uint64_t load_answers(const struct load *load, int server);
/* Each of the servers with these digits answers so many more. */
bool load_answers_more(const struct load *load, const char *digits, uint64_t more);

#endif
