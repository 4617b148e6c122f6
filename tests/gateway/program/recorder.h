/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder.h - an upstream that keeps what arrived, by client. It reads HTTP/1.1 as narrowly as a
 * reader can: one byte beside what the gateway has to write, and the connection is in disorder.
 *
 * Clients are told apart by the address that they come from, 127.1.0.0 plus their number, which the
 * gateway says in X-Forwarded-For. Each whole request is answered with 200 and a field
 * "x-asked: ADDRESS METHOD TARGET".
 */
#ifndef KOLK_TESTS_GATEWAY_RECORDER_H
#define KOLK_TESTS_GATEWAY_RECORDER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/kit/mock.h"

enum { RECORDER_CLIENTS = 1024, RECORDER_TEXT = 1024 };

struct recorder_client {
	uint32_t whole, underway;  /* requests; those of which the head is there, alone */
	/* Of each a line as struct http1_request_case.meaning has it. */
	char text[RECORDER_TEXT];
	char part[RECORDER_TEXT];  /* of the last request that broke off; "" = none did */
};

struct recorder {
	struct kit_mock *mock;
	pthread_mutex_t lock;      /* of what follows */
	struct recorder_client client[RECORDER_CLIENTS];
	uint64_t whole;            /* of all clients */
	uint32_t disorder;         /* connections on which something else came; the first is noted */
};

bool recorder_open(struct recorder *recorder);
void recorder_close(struct recorder *recorder);
/* Forget what count clients sent, from this one on; not the sums. */
void recorder_clear(struct recorder *recorder, uint32_t first, uint32_t count);
/* When none of its requests is under way; a failed check if one stays so. */
struct recorder_client recorder_of(struct recorder *recorder, uint32_t client);

#endif
